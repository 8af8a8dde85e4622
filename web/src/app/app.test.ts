import { describe, expect, test } from "vitest";
import { matches } from "./commands";
import { signIn } from "./search";
import { readRange, resolveRange, sinceBirth } from "./range";

describe("the command palette", () => {
  const commands = ["Overview", "Devices", "home-1-meter", "meter"].map((label) => ({ id: label, label, kind: "Any" }));
  test("lists what begins with the text before what contains it", () => {
    expect(matches(commands, "met").map((command) => command.label)).toEqual(["meter", "home-1-meter"]);
  });
  test("needs every word", () => {
    expect(matches(commands, "home meter").map((command) => command.label)).toEqual(["home-1-meter"]);
    expect(matches(commands, "  ")).toHaveLength(4);
  });
});

describe("the time range", () => {
  test("a span in the URL wins and does not move", () => {
    const range = resolveRange(readRange({ range: "1h", from: 1000, to: 5000 }), 9000);
    expect([range.from, range.to, range.isLive, range.id]).toEqual([1000, 5000, false, "1h"]);
  });
  test("what is not a range falls back to the shortest", () => {
    for (const search of [{}, { range: "a year" }, { from: 5000, to: 1000 }, { from: "x", to: 9 }]) {
      const range = resolveRange(readRange(search), 9_000_000);
      expect([range.isLive, range.spanMs, range.to]).toEqual([true, 900_000, 9_000_000]);
    }
  });
});

test("the shortest live range begins with what is looked at, but is never shorter than a minute", () => {
  const range = resolveRange({}, 9_000_000);
  const begins = (bornAt: number): number => sinceBirth(range, bornAt).from;
  expect([begins(0), begins(8_500_000), begins(8_999_000), begins(NaN)]).toEqual([8_100_000, 8_500_000, 8_940_000, 8_100_000]);
  const aDay = resolveRange({ range: "24h" }, 99_000_000);
  expect(sinceBirth(aDay, 98_000_000).from).toBe(99_000_000 - aDay.spanMs);
  const zoomed = resolveRange({ from: 1000, to: 5000 }, 9_000_000);
  expect(sinceBirth(zoomed, 4000).from).toBe(1000);
});

test("a sign-in leads only to a path of this page", () => {
  expect(["/devices?q=1", "//evil", "https://evil", "/\\evil", "javascript:x"].map((next) => signIn({ next }).next)).toEqual([
    "/devices?q=1", undefined, undefined, undefined, undefined,
  ]);
});
