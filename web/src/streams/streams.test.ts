import { expect, test } from "vitest";
import type { SchemaVersion, Stream } from "../api/types";
import { isNumeric, isTime, properties } from "./columns";
import { changes } from "./schema-diff";

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
