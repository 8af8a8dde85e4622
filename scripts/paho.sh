#!/usr/bin/env bash
# The Eclipse Paho interoperability suites (MQTT 3.1.1 and 5) against a real hub that is started fresh for each.
#
#   make paho                          builds the hub first
#   PAHO_TESTING=DIR scripts/paho.sh   with a checkout of paho.mqtt.testing that is there already
#   PAHO_SERVER=HOST:PORT …            against a server that is running, started fresh by hand
#   SPRINGHOUSE=PROGRAM …              another build of the hub
#
# Prints a line for every test and fails when one does. No test is left out.
set -euo pipefail

COMMIT=9d7bb80bb8b9d9cfc0b52f8cb4c1916401281103
SOURCE=https://github.com/eclipse/paho.mqtt.testing.git
SUITES=(client_test client_test5)
TARGET=${CARGO_TARGET_DIR:-$HOME/.cache/springhouse/target}
HUB=${SPRINGHOUSE:-$TARGET/debug/springhouse}
WORK=$(mktemp -d)
HUB_PID=

stop_hub() {
  if [ -n "$HUB_PID" ]; then
    kill "$HUB_PID" 2>/dev/null || true
    wait "$HUB_PID" 2>/dev/null || true
    HUB_PID=
  fi
}
trap 'stop_hub; rm -rf "$WORK"' EXIT

# The suite at a fixed commit, fetched once.
checkout() {
  local dir=${SPRINGHOUSE_CACHE:-$HOME/.cache/springhouse}/paho.mqtt.testing
  if [ "$(git -C "$dir" rev-parse HEAD 2>/dev/null)" != "$COMMIT" ]; then
    echo "fetching $SOURCE at ${COMMIT:0:12}" >&2
    mkdir -p "$dir"
    git -C "$dir" init --quiet
    git -C "$dir" fetch --quiet --depth 1 "$SOURCE" "$COMMIT"
    git -C "$dir" -c advice.detachedHead=false checkout --quiet --force FETCH_HEAD
  fi
  echo "$dir"
}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# A hub with an empty data directory and what the suites expect of a server: clients without credentials, a keep-alive of
# at most 60 seconds, a filter that nobody may subscribe to.
start_hub() {
  local suite=$1 port=$2
  cat >"$WORK/$suite.toml" <<CONFIG
[mqtt]
listen = "off"
keep_alive_max_s = 60
refused_filters = ["test/nosubscribe"]

[[mqtt.anonymous]]
name = "paho"
listener = "127.0.0.1:$port"
topics = ["#"]

[http]
listen = "127.0.0.1:$(free_port)"
CONFIG
  "$HUB" hub --config "$WORK/$suite.toml" --data "$WORK/$suite.data" >"$WORK/$suite.hub.log" 2>&1 &
  HUB_PID=$!
  until (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
    if ! kill -0 "$HUB_PID" 2>/dev/null; then
      echo "the hub has ended:" >&2
      cat "$WORK/$suite.hub.log" >&2
      exit 1
    fi
    sleep 0.1
  done
}

# The suites take their server from the command line only when it has the usual port; so their globals are set here.
run_suite() {
  local suite=$1 host=$2 port=$3
  (cd "$TESTING/interoperability" && python3 -B - "$suite" "$host" "$port" "$WORK/$suite.out") <<'PYTHON'
import contextlib, importlib, logging, sys, time, unittest

name, host, port, out = sys.argv[1:]
sys.path.insert(0, ".")
logging.getLogger().setLevel(logging.ERROR)
suite = importlib.import_module(name)
suite.host, suite.port = host, int(port)
suite.topics = ("TopicA", "TopicA/B", "Topic/C", "TopicA/C", "/TopicA")
suite.wildtopics = ("TopicA/+", "+/C", "#", "/#", "/+", "+/+", "TopicA/#")
suite.nosubscribe_topics = ("test/nosubscribe",)
suite.topic_prefix = "client_test5/"

# One test of the suite subscribes with one client, waits for the other's acknowledgement, and publishes with that one:
# which of the two packets a server sees first is chance. So every subscription waits for its own acknowledgement.
subscribe = suite.mqtt_client.Client.subscribe


def subscribe_and_wait(client, *arguments, **options):
    known = getattr(client.callback, "subscribeds", None)
    before = len(known or [])
    packet_id = subscribe(client, *arguments, **options)
    deadline = time.monotonic() + 3
    while known is not None and len(known) == before and time.monotonic() < deadline:
        time.sleep(0.005)
    return packet_id


suite.mqtt_client.Client.subscribe = subscribe_and_wait


class Lines(unittest.TextTestResult):
    """One line for a test, on the real standard output; what the suite prints goes to a file."""

    def say(self, word, test):
        print(f"  {word:7} {test.id().split('.')[-1]}", file=sys.__stdout__, flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.say("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.say("FAILED", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.say("FAILED", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.say("skipped", test)


tests = unittest.defaultTestLoader.loadTestsFromModule(suite)
count = tests.countTestCases()
with open(out, "w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
    result = unittest.TextTestRunner(stream=log, verbosity=0, resultclass=Lines).run(tests)
passed = result.testsRun - len(result.failures) - len(result.errors) - len(result.skipped)
print(f"{name}: {passed} of {count} passed", flush=True)
sys.exit(0 if passed == count else 1)
PYTHON
}

if [ -n "${PAHO_TESTING:-}" ]; then
  TESTING=$(cd "$PAHO_TESTING" && pwd)
else
  TESTING=$(checkout)
fi
FAILED=()
for suite in "${SUITES[@]}"; do
  if [ -n "${PAHO_SERVER:-}" ]; then
    host=${PAHO_SERVER%:*} port=${PAHO_SERVER##*:}
  else
    host=127.0.0.1 port=$(free_port)
    start_hub "$suite" "$port"
  fi
  echo "$suite against $host:$port"
  if ! run_suite "$suite" "$host" "$port"; then
    FAILED+=("$suite")
    tail -n 60 "$WORK/$suite.out"
    if [ -f "$WORK/$suite.hub.log" ]; then tail -n 20 "$WORK/$suite.hub.log"; fi
  fi
  stop_hub
done
if [ ${#FAILED[@]} -gt 0 ]; then
  echo "FAILED: ${FAILED[*]}"
  exit 1
fi
echo "All tests of the Paho suites have passed."
