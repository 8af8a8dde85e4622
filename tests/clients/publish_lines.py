#!/usr/bin/env python3
"""Publishes standard input line by line with Eclipse Paho, QoS 1, and waits for every acknowledgement.

    publish_lines.py --port 1883 --password TOKEN --topic devices/office/room < readings.ndjson
    publish_lines.py --port 1883 --password TOKEN --capture < capture.tsv      # topic <tab> retain <tab> payload
"""
import argparse
import sys

import paho.mqtt.client as mqtt


def lines(options):
    for line in sys.stdin:
        line = line.rstrip("\n")
        if not options.capture:
            yield options.topic, False, line
            continue
        parts = line.split("\t", 2)
        if len(parts) == 3 and parts[2]:
            yield parts[0], parts[1] == "1", parts[2]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=1883)
    arguments.add_argument("--username", default="replay")
    arguments.add_argument("--password", required=True)
    arguments.add_argument("--topic")
    arguments.add_argument("--capture", action="store_true")
    options = arguments.parse_args()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.username_pw_set(options.username, options.password)
    client.max_queued_messages_set(0)
    client.connect(options.host, options.port)
    client.loop_start()
    sent = [client.publish(topic, payload, qos=1, retain=retain) for topic, retain, payload in lines(options)]
    for message in sent:
        message.wait_for_publish(60)
    acknowledged = sum(message.is_published() for message in sent)
    client.disconnect()
    client.loop_stop()
    print(f"{acknowledged} of {len(sent)} acknowledged")
    sys.exit(0 if acknowledged == len(sent) else 1)


if __name__ == "__main__":
    main()
