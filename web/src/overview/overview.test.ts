import { describe, expect, test } from "vitest";
import type { Stream } from "../api/types";
import { energySources, type Source } from "./energy";
import { aligned, backfillSql, homeFrom, LiveSum } from "./power";

function stream(name: string, columns: [string, string, string?][]): Stream {
  return {
    name, state: "approved", origin: "declared", pipeline: null, watermark_seconds: 5, created_at: "", schema_version: 1, rows: 10, rows_per_minute: 60, devices: 10, last_at: null, bytes: 0, sql: null,
    columns: columns.map(([column, type, unit]) => ({ name: column, type, unit: unit ?? null, system: false })),
  };
}

describe("energy sources", () => {
  test("are told by names and units", () => {
    const found = energySources([
      stream("thermostat", [["temperature", "float", "°C"]]),
      stream("pv", [["power", "float", "W"], ["energy", "float", "kWh"]]),
      stream("meter", [["voltage", "float"], ["power", "float", "kW"]]),
    ]);
    expect(found.map(({ role, stream: name, column, toKw }) => [role, name, column, toKw])).toEqual([
      ["solar", "pv", "power", 0.001], ["grid", "meter", "power", 1],
    ]);
  });
  test("are not streams that are declared and empty", () => {
    expect(energySources([{ ...stream("meter", [["power", "double"]]), rows: 0 }])).toEqual([]);
  });
  test("of one stream with several powers each takes its role", () => {
    const found = energySources([stream("energy", [["solar_power", "float"], ["grid_power", "float"], ["home_power", "int"]])]);
    expect(found.map(({ role, column }) => `${role}:${column}`).sort()).toEqual(["grid:grid_power", "home:home_power", "solar:solar_power"]);
  });
  test("a plug is not the grid, and text is not power", () => {
    expect(energySources([stream("plug", [["power", "float", "W"]]), stream("meter", [["power", "text"]])])).toEqual([]);
  });
});

const source: Source = { role: "grid", stream: "meter", column: "power", toKw: 0.001, intervalMs: 10_000, devices: 2, bornAt: 0 };

describe("the live sum", () => {
  test("adds the last value of each device and forgets who fell silent", () => {
    const sum = new LiveSum(source, 5000);
    sum.observe("a", 1000, 100_000);
    sum.observe("b", 500, 100_000);
    sum.observe("a", 900, 90_000);
    expect(sum.total(100_000)).toBe(1.5);
    sum.observe("b", 700, 155_000);
    expect(sum.total(161_000)).toBeCloseTo(0.7);
    expect(sum.total(1_000_000)).toBeNull();
  });
  test("continues the back-fill in the same buckets and lets old ones go", () => {
    const sum = new LiveSum(source, 5000);
    sum.observe("a", 2000, 11_000);
    sum.tick(11_000, 0);
    sum.backfill([[0, 1], [5000, 1.5]]);
    sum.observe("a", 3000, 12_000);
    sum.tick(12_000, 0);
    sum.tick(16_000, 7000);
    expect(sum.series()).toEqual([[5000, 1.5], [10_000, 3], [15_000, 3]]);
  });
});

test("columns are aligned on common times and the house is derived", () => {
  const { x, columns } = aligned([[[1, 2], [2, 3]], [[2, -1]]], 1);
  expect(x).toEqual([1, 2]);
  expect(columns).toEqual([[2, 3], [null, -1]]);
  expect(homeFrom(columns[0] ?? [], columns[1] ?? [])).toEqual([null, 2]);
});

test("a line goes straight through the times of another and breaks where it was silent", () => {
  const ticks = [0, 1, 2, 3, 4, 9, 10, 11].map((at) => [at, 0] as const);
  expect(aligned([ticks, [[0, 0], [4, 8], [9, 1]]], 4).columns[1]).toEqual([0, 2, 4, 6, 8, 1, 1, 1]);
  expect(aligned([ticks, [[0, 0], [10, 5]]], 4).columns[1]).toEqual([0, null, null, null, null, null, 5, 5]);
});

test("the back-fill sums the means of the devices per bucket", () => {
  expect(backfillSql(source, 0, 60_000, 5000)).toBe(
    `SELECT t, sum(p) AS power FROM (SELECT date_bin(INTERVAL '5 seconds', ts) AS t, device, avg("power") AS p FROM meter ` +
      `WHERE ts >= TIMESTAMP '1970-01-01T00:00:00.000Z' AND ts < TIMESTAMP '1970-01-01T00:01:00.000Z' AND "power" IS NOT NULL ` +
      `GROUP BY 1, device) AS by_device GROUP BY t ORDER BY t`,
  );
});
