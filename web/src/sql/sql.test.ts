import { describe, expect, test } from "vitest";
import type { Stream } from "../api/types";
import { drawing } from "./chartable";
import { namespace } from "./completion";
import { ident, literal, tableName, timestamp } from "./quote";

test("names and texts are quoted so that nothing gets out of them", () => {
  expect(ident('a"b')).toBe('"a""b"');
  expect(literal("it's")).toBe("'it''s'");
  expect(tableName("meter")).toBe("meter");
  expect(tableName("hourly.late")).toBe('"hourly.late"');
  expect(timestamp(0)).toBe("TIMESTAMP '1970-01-01T00:00:00.000Z'");
});

describe("completion", () => {
  const stream = { name: "hourly.late", columns: [{ name: "Power", type: "float", unit: "W" }, { name: "ts", type: "time" }] } as Stream;
  const tables = namespace([stream]) as unknown as Record<string, { self: { apply: string }; children: { label: string; apply: string; detail: string }[] }>;
  test("a stream with a dot is one table and is quoted when chosen", () => {
    expect(tables["hourly\\.late"]?.self.apply).toBe('"hourly.late"');
  });
  test("columns carry type and unit, and are quoted when SQL would fold their case", () => {
    expect(tables["hourly\\.late"]?.children[0]).toMatchObject({ label: "Power", apply: '"Power"', detail: "float, W" });
    expect(tables["hourly\\.late"]?.children[1]).toMatchObject({ apply: "ts", detail: "time" });
  });
  test("the hub's own tables are there", () => expect(Object.keys(tables)).toEqual(["devices", "twin", "hourly\\.late"]));
});

describe("an answer as a chart", () => {
  const t = { name: "t", type: "time" };
  test("numbers become lines over the time column", () => {
    const drawn = drawing({
      columns: [t, { name: "a", type: "float" }, { name: "b", type: "Int64" }],
      rows: [["2026-01-01T00:01:00Z", 2, null], ["2026-01-01T00:00:00Z", 1, 5]],
    });
    expect(drawn?.x).toHaveLength(2);
    expect(drawn?.lines).toEqual([{ label: "a", values: [1, 2] }, { label: "b", values: [5, null] }]);
  });
  test("a text column makes a line of each name, of many those that reach highest", () => {
    const rows = Array.from({ length: 20 }, (_, n) => [`2026-01-01T00:00:0${n % 2}Z`, `d${n >> 1}`, n]);
    const drawn = drawing({ columns: [t, { name: "device", type: "text" }, { name: "v", type: "int" }], rows });
    expect(drawn?.lines.map((line) => line.label)).toEqual(["d3", "d4", "d5", "d6", "d7", "d8", "d9"]);
    expect(drawn?.lines[0]?.values).toEqual([6, 7]);
    expect(drawn?.hidden).toBe(3);
  });
  test("without time, numbers or a second moment there is nothing to draw", () => {
    expect(drawing({ columns: [t], rows: [["2026-01-01T00:00:00Z"]] })).toBeNull();
    expect(drawing({ columns: [{ name: "n", type: "int" }], rows: [[1], [2]] })).toBeNull();
    expect(drawing({ columns: [t, { name: "n", type: "int" }], rows: [["2026-01-01T00:00:00Z", 1]] })).toBeNull();
  });
});
