#!/usr/bin/env python3
"""Turns a CSV recording into one JSON object per line, with the event time in `ts`.

    csv_to_ndjson.py recording.csv --time Date,Time --format "%m/%d/%y %H:%M:%S" --drop index

Numbers become numbers, empty cells and `?` become null, everything else stays text.
"""
import argparse
import csv
import datetime
import json
import sys


def value(text):
    if text in ("", "?"):
        return None
    try:
        return float(text)
    except ValueError:
        return text


def moment(text, formats):
    """The first format that fits; recordings change theirs in the middle."""
    for form in formats:
        try:
            return datetime.datetime.strptime(text, form).replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            continue
    sys.exit(f"`{text}` fits none of the formats {formats}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file")
    arguments.add_argument("--time", required=True, help="columns that make the time, joined by a blank")
    arguments.add_argument("--format", required=True, action="append", help="strptime format of the joined time, read as UTC; may be given several times")
    arguments.add_argument("--drop", default="", help="columns to leave out")
    arguments.add_argument("--limit", type=int, default=0, help="rows to write, 0 for all")
    options = arguments.parse_args()
    time_columns, dropped = options.time.split(","), set(options.drop.split(","))
    with open(options.file, newline="", encoding="utf-8") as source:
        records = csv.reader(source)
        header = next(records)
        for number, cells in enumerate(records):
            if options.limit and number >= options.limit:
                break
            # A header one cell short means a nameless index in front (R writes such files).
            row = dict(zip(header, cells[len(cells) - len(header):]))
            at = moment(" ".join(row[c] for c in time_columns), options.format)
            reading = {"ts": int(at.timestamp() * 1000)}
            for name, text in row.items():
                if name and name not in time_columns and name not in dropped:
                    reading[name.lower()] = value(text)
            json.dump(reading, sys.stdout, separators=(",", ":"))
            sys.stdout.write("\n")


if __name__ == "__main__":
    main()
