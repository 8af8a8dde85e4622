import { describe, expect, test } from "vitest";
import { tickNumbers, tickText, yRange } from "./axis";
import { continued, withGaps } from "./gaps";
import { sparkPath } from "./spark-path";
import { sqlInterval, stepFor } from "./step";

describe("bucket widths", () => {
  test.each([
    [15 * 60_000, 240, 0, 5000], [3_600_000, 240, 0, 15_000], [7 * 86_400_000, 240, 0, 3_600_000], [15 * 60_000, 240, 20_000, 30_000],
    [4e12, 10, 0, 86_400_000],
  ])("%d ms in %d points, at least %d ms, is %d ms", (span, points, least, step) => expect(stepFor(span, points, least)).toBe(step));
  test("are written as SQL intervals", () => expect(sqlInterval(15_000)).toBe("INTERVAL '15 seconds'"));
});

describe("gaps", () => {
  test("empty buckets between regular readings are no gap", () => {
    const { x, columns } = withGaps([0, 1, 2, 3, 4, 5], [[1, null, 2, null, 3, null]]);
    expect(x).toEqual([0, 2, 4]);
    expect(columns).toEqual([[1, 2, 3]]);
  });
  test("silence much longer than usual breaks the line once", () => {
    const { x, columns } = withGaps([0, 1, 2, 100, 101], [[1, 1, 1, 2, 2], [0, 0, 0, 9, 9]]);
    expect(x).toEqual([0, 1, 2, 51, 100, 101]);
    expect(columns).toEqual([[1, 1, 1, null, 2, 2], [0, 0, 0, null, 9, 9]]);
  });
  test("live points make buckets like those before them and do not change these", () => {
    const past = { ts: [100, 110], avg: [1, 2], min: [0, 1], max: [2, 3] };
    expect(continued(past, [[131, 9], [122, 6], [129, 4], [111, 99], [90, 99]], 10)).toEqual({
      ts: [100, 110, 120, 130], avg: [1, 2, 5, 9], min: [0, 1, 4, 9], max: [2, 3, 6, 9],
    });
  });
  test("live points fill a last bucket that is empty", () => {
    const past = { ts: [100, 110], avg: [1, null], min: [1, null], max: [1, null] };
    expect(continued(past, [[112, 6]], 10)).toEqual({ ts: [100, 110], avg: [1, 6], min: [1, 6], max: [1, 6] });
    expect(continued({ ts: [], avg: [], min: [], max: [] }, [[25, 6]], 10).ts).toEqual([20]);
  });
});

test("ticks say as much as their distance needs", () => {
  const at = new Date(2026, 2, 1, 14, 5, 9).getTime() / 1000;
  expect([tickText(at, 5), tickText(at, 300), tickText(at, 86_400)]).toEqual(["14:05:09", "14:05", "1 Mar"]);
});

test("values of an axis differ, however close they are", () => {
  expect(tickNumbers([14712.1, 14712.15, 14712.2])).toEqual(["14\u202f712.10", "14\u202f712.15", "14\u202f712.20"]);
  expect(tickNumbers([-2.5, 0, 2.5])).toEqual(["−2.5", "0.0", "2.5"]);
  expect(new Set(tickNumbers([0.5, 0.5 + 2e-8, 0.5 + 4e-8])).size).toBe(3);
  expect(tickNumbers([0, 500, 1000])).toEqual(["0", "500", "1\u202f000"]);
});

test("an axis spans what can be read, however close its values are", () => {
  expect(yRange(230.1, 230.1 + 1e-12).map(Math.round)).toEqual([207, 253]);
  expect(yRange(21.4, 21.42).map((edge) => edge.toFixed(2))).toEqual(["21.36", "21.46"]);
  expect(yRange(14712.1, 14712.3).map((edge) => edge.toFixed(1))).toEqual(["14711.7", "14712.7"]);
  expect([yRange(0, 100), yRange(0, 0), yRange(null, null)]).toEqual([[0, 108], [-1, 1], [0, 1]]);
});

test("a sparkline spans its box and is flat in the middle when nothing changes", () => {
  expect(sparkPath([[0, 1], [10, 3]], 100, 20)).toBe("M0.0 19.0L100.0 1.0");
  expect(sparkPath([[0, 5], [10, 5]], 100, 20)).toBe("M0.0 10.0L100.0 10.0");
  expect(sparkPath([[0, 5]], 100, 20)).toBe("");
});
