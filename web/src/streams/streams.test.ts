import { expect, test } from "vitest";
import type { SchemaVersion, Stream } from "../api/types";
import { isNumeric, isTime, properties } from "./columns";
import { changes } from "./schema-diff";
import { columnText, sourceText } from "./table-text";

const version = (columns: SchemaVersion["columns"]): SchemaVersion => ({ version: 1, additional: true, json_schema: {}, columns });

test("a version is told by what it changed", () => {
  const before = version([{ name: "ts", type: "time", system: true }, { name: "power", type: "int" }, { name: "old", type: "text" }]);
  const after = version([{ name: "power", type: "float", unit: "W" }, { name: "voltage", type: "float" }]);
  expect(changes(before, after)).toEqual([
    { kind: "changed", text: "power int → float W" },
    { kind: "added", text: "voltage float" },
    { kind: "gone", text: "old" },
  ]);
  expect(changes(undefined, after)).toHaveLength(2);
  expect(changes(after, after)).toEqual([]);
});

test("types are recognized in the hub's words and in Arrow's", () => {
  expect(["int", "float", "Int64", "UInt32", "Decimal128(5, 2)", "text", "bool"].map((type) => isNumeric({ type }))).toEqual([
    true, true, true, true, true, false, false,
  ]);
  expect(["time", "Timestamp(Microsecond)", "interval"].map((type) => isTime({ type }))).toEqual([true, true, false]);
});

test("properties are what the device sent", () => {
  const columns = [{ name: "ts", type: "time" }, { name: "power", type: "float" }, { name: "_id", type: "text" }];
  expect(properties({ columns } as Stream).map((column) => column.name)).toEqual(["power"]);
});

test("a table tells its key, its units and where its rows come from", () => {
  const columns = [{ name: "device", type: "text" }, { name: "since", type: "time" }, { name: "limit_c", type: "float", unit: "°C" }];
  expect(columnText({ columns, key: ["device"], valid_from: "since" })).toBe("device (key), since (valid from), limit_c °C");
  expect(sourceText({ source: "file", place: "rooms.csv", refresh_seconds: 300 })).toBe("rooms.csv, every 5 min");
  expect(sourceText({ source: "query", place: null, refresh_seconds: 86_400 })).toBe("a query over history, every 1 d");
  expect(sourceText({ source: "given", place: null, refresh_seconds: null })).toBe("rows that are sent");
});
