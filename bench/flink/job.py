"""One query of `bench/src/engine.rs` as Flink SQL, over the same file; prints one line of JSON about the job.

    job.py QUERY EVENTS.ndjson [--rows FOLDER]

Without --rows the rows go nowhere (`blackhole`); with it they are written as JSON, and told are how many there are and how many
events have been counted in them. One slot, state on the heap, no checkpoints: what costs Flink least. CPU and memory are those of the Java
process from its start, as the kernel counts them; the wall time is that of the job alone.
"""

import argparse
import json
import os
import pathlib
import sys
import time

# The JVM is started by pyflink when it first needs it; Flink's default is a quarter of the machine's memory.
os.environ.setdefault("JVM_ARGS", "-Xmx512m")

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment

SOURCE = """
CREATE TABLE src (
  device STRING, site STRING, seq BIGINT, ts BIGINT, temp DOUBLE, humidity DOUBLE, `power` DOUBLE, status STRING,
  event_time AS TO_TIMESTAMP_LTZ(ts, 3), WATERMARK FOR event_time AS event_time - INTERVAL '5' SECOND
) WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'json')
"""
WINDOWED = """
SELECT device, CAST(window_start AS STRING) AS begun, COUNT(*) AS n, AVG(temp) AS t_avg, MAX(temp) AS t_max,
  MIN(humidity) AS h_min, SUM(`power`) AS p_sum
FROM TABLE({window}) GROUP BY device, window_start, window_end
"""
WINDOWED_COLUMNS = "device STRING, begun STRING, n BIGINT, t_avg DOUBLE, t_max DOUBLE, h_min DOUBLE, p_sum DOUBLE"
WINDOWS = {
    "q1": "TUMBLE(TABLE src, DESCRIPTOR(event_time), INTERVAL '10' SECOND)",
    "q2": "HOP(TABLE src, DESCRIPTOR(event_time), INTERVAL '10' SECOND, INTERVAL '60' SECOND)",
    "q3": "SESSION(TABLE src PARTITION BY device, DESCRIPTOR(event_time), INTERVAL '5' SECOND)",
}


def query(name):
    """The columns of the result and the SELECT."""
    if name == "q0":
        select = "SELECT device, ts, temp * 1.8 + 32 AS f, `power` FROM src WHERE `power` > 500"
        return "device STRING, ts BIGINT, f DOUBLE, `power` DOUBLE", select
    return WINDOWED_COLUMNS, WINDOWED.format(window=WINDOWS[name])


def environment():
    settings = {
        "parallelism.default": "1",
        "taskmanager.numberOfTaskSlots": "1",
        "taskmanager.memory.managed.size": "64m",
        "pipeline.object-reuse": "true",
        "state.backend.type": "hashmap",
        "table.local-time-zone": "UTC",
        "rest.bind-address": "127.0.0.1",
        "rest.address": "127.0.0.1",
        "rest.bind-port": "0",
    }
    configuration = Configuration()
    for key, value in settings.items():
        configuration.set_string(key, value)
    return TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration).build()
    )


def java_process():
    """The one process that this one has started."""
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if name == "java" and int(rest.split()[1]) == os.getpid():
            return stat.parent
    sys.exit("no Java process was started; hint: Java 17 or later must be on the PATH")


def cpu_seconds(process):
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(process):
    for line in (process / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("query", choices=["q0", "q1", "q2", "q3"])
    parser.add_argument("events", type=pathlib.Path)
    parser.add_argument("--rows", type=pathlib.Path)
    arguments = parser.parse_args()

    table = environment()
    table.execute_sql(SOURCE.format(path=arguments.events.resolve().as_uri()))
    columns, select = query(arguments.query)
    to = "'connector' = 'blackhole'"
    if arguments.rows:
        to = f"'connector' = 'filesystem', 'path' = '{arguments.rows.resolve().as_uri()}', 'format' = 'json'"
    table.execute_sql(f"CREATE TABLE rows_out ({columns}) WITH ({to})")
    process = java_process()
    begun = time.monotonic()
    table.execute_sql(f"INSERT INTO rows_out {select}").wait()
    found = {
        "cpu_seconds": cpu_seconds(process),
        "wall_seconds": time.monotonic() - begun,
        "peak_rss_mb": peak_mb(process),
    }
    if arguments.rows:
        files = [path for path in arguments.rows.rglob("*") if path.is_file()]
        rows = [json.loads(line) for path in files for line in path.read_text().splitlines()]
        found["rows_out"] = len(rows)
        found["counted"] = sum(row.get("n", 1) for row in rows)
    print(json.dumps(found))


main()
