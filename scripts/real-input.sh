#!/usr/bin/env bash
# Real recordings through real clients: publishes them with mosquitto_pub and Eclipse Paho, then compares the rows of a
# windowed pipeline with a batch query over the same data.
#
#   scripts/real-input.sh FOLDER
#
# FOLDER holds household_power_consumption.csv (UCI "Individual household electric power consumption", CC BY 4.0),
# occupancy.csv (UCI "Occupancy detection", CC BY 4.0) and, if there is one, zigbee2mqtt.tsv, a capture of
# Zigbee2MQTT's topics (topic, retain flag, payload, separated by tabs). Set SPRINGHOUSE_BIN for another binary.
set -euo pipefail
cd "$(dirname "$0")/.."
recordings=$(realpath "${1:?usage: scripts/real-input.sh FOLDER}")
bin="${SPRINGHOUSE_BIN:-${CARGO_TARGET_DIR:-$HOME/.cache/springhouse/target}/debug/springhouse}"
python="${PYTHON:-$HOME/.cache/springhouse/venv/bin/python}"
[ -x "$python" ] || python=python3
work=$(mktemp -d)
hub=
trap '[ -z "$hub" ] || { kill "$hub"; wait "$hub"; } 2>/dev/null; rm -rf "$work"' EXIT
mqtt=${MQTT_PORT:-18830} http=${HTTP_PORT:-18831}

cat > "$work/springhouse.toml" <<CONFIG
[[route]]
topic = "zigbee2mqtt/{device}"
stream = "zigbee"
CONFIG
"$bin" hub --config "$work/springhouse.toml" --data "$work/data" --mqtt 127.0.0.1:$mqtt --http 127.0.0.1:$http 2> "$work/hub.log" > /dev/null &
hub=$!
until curl -fs "http://127.0.0.1:$http/readyz" > /dev/null; do kill -0 "$hub" || { cat "$work/hub.log"; exit 1; }; read -rt 0.1 <> <(:) || true; done
token=$("$bin" token create --data "$work/data" --name recordings --scope admin | tail -n 1)
export SPRINGHOUSE_TOKEN=$token SPRINGHOUSE_URL="http://127.0.0.1:$http"
publish() { mosquitto_pub -h 127.0.0.1 -p "$mqtt" -q 1 -u replay -P "$token" "$@"; }
sql() { "$bin" sql --format csv "$1"; }

# The first reading introduces the stream, so that the pipeline finds it; the recording follows as a whole.
tests/clients/csv_to_ndjson.py "$recordings/household_power_consumption.csv" --time Date,Time --format "%d/%m/%Y %H:%M:%S" --format "%d/%m/%y %H:%M:%S" --drop index > "$work/household.ndjson"
publish -t devices/household/power -m "$(sed -n 1p "$work/household.ndjson")"
sql "CREATE PIPELINE hourly INTO power_hourly AS SELECT device, window_start, count(*) AS n, avg(global_active_power) AS kw, max(voltage) AS v_max
     FROM TUMBLE(power, ts, INTERVAL '1' HOUR) GROUP BY device, window_start, window_end" > /dev/null
echo "publishing $(wc -l < "$work/household.ndjson") readings of a household with mosquitto_pub"
# In pieces: mosquitto_pub 2.0 takes the PUBACK of an earlier message for that of the last one when packet ids wrap around.
export -f publish
export mqtt token
time sed 1d "$work/household.ndjson" | split -l 50000 --filter 'publish -t devices/household/power -l'
echo "publishing the occupancy recording with Eclipse Paho"
tests/clients/csv_to_ndjson.py "$recordings/occupancy.csv" --time date --format "%Y-%m-%d %H:%M:%S" |
  "$python" tests/clients/publish_lines.py --port "$mqtt" --password "$token" --topic devices/office/occupancy
if [ -f "$recordings/zigbee2mqtt.tsv" ]; then
  echo "publishing the Zigbee2MQTT capture with Eclipse Paho"
  "$python" tests/clients/publish_lines.py --port "$mqtt" --password "$token" --capture < "$recordings/zigbee2mqtt.tsv"
fi
for stream in power occupancy zigbee; do
  sql "SELECT '$stream' AS stream, count(*) AS readings, count(DISTINCT device) AS devices, min(ts) AS first, max(ts) AS last FROM $stream" | tail -n 1 || true
done
published=$(wc -l < "$work/household.ndjson")
[ "$(sql 'SELECT count(*) FROM power' | tail -n 1)" -ge "$published" ] || { echo "readings are missing"; exit 1; }

# The last window is open until later rows come or the stream falls silent: it may be missing on the live side.
batch="SELECT device, window_start, count(*) AS n, avg(global_active_power) AS kw, max(voltage) AS v_max
       FROM TUMBLE(power, ts, INTERVAL '1' HOUR) GROUP BY device, window_start, window_end"
expected=$(sql "SELECT count(*) FROM ($batch)" | tail -n 1)
until [ "$(sql 'SELECT count(*) FROM power_hourly' | tail -n 1)" -ge "$((expected - 1))" ]; do kill -0 "$hub"; read -rt 0.3 <> <(:) || true; done
sql "SELECT device, window_start, n, round(kw, 9) AS kw, v_max FROM power_hourly ORDER BY window_start" > "$work/live.csv"
sql "SELECT device, window_start, n, round(kw, 9) AS kw, v_max FROM ($batch) ORDER BY window_start" | head -n "$(wc -l < "$work/live.csv")" > "$work/batch.csv"
diff "$work/live.csv" "$work/batch.csv"
echo "the pipeline's $(($(wc -l < "$work/live.csv") - 1)) hourly rows equal the batch query's"
