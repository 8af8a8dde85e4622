import { describe, expect, test } from "vitest";
import { tickNumbers, tickText } from "./axis";
import { appended, withGaps } from "./gaps";
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
  test("live points follow the buckets in time order and never precede them", () => {
    expect(appended([1, 2], [10, 20], [[4, 40], [3, 30], [2, 99]])).toEqual({ x: [1, 2, 3, 4], values: [10, 20, 30, 40] });
  });
});

test("ticks say as much as their distance needs", () => {
  const at = new Date(2026, 2, 1, 14, 5, 9).getTime() / 1000;
  expect([tickText(at, 5), tickText(at, 300), tickText(at, 86_400)]).toEqual(["14:05:09", "14:05", "1 Mar"]);
});

test("values of an axis differ, however close they are", () => {
  expect(tickNumbers([14712.1, 14712.15, 14712.2])).toEqual(["14\u202f712.10", "14\u202f712.15", "14\u202f712.20"]);
  expect(tickNumbers([-2.5, 0, 2.5])).toEqual(["−2.5", "0.0", "2.5"]);
  expect(tickNumbers([0, 500, 1000])).toEqual(["0", "500", "1\u202f000"]);
});

test("a sparkline spans its box and is flat in the middle when nothing changes", () => {
  expect(sparkPath([[0, 1], [10, 3]], 100, 20)).toBe("M0.0 19.0L100.0 1.0");
  expect(sparkPath([[0, 5], [10, 5]], 100, 20)).toBe("M0.0 10.0L100.0 10.0");
  expect(sparkPath([[0, 5]], 100, 20)).toBe("");
});
