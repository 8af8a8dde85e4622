import { describe, expect, test } from "vitest";
import { bytes, cell, count, fixed, number, plural } from "./number";
import { ago, duration, moment, momentIn, parse } from "./time";

describe("numbers", () => {
  test.each([
    [0, "0"], [3.14159, "3.142"], [21.4, "21.4"], [123.456, "123.5"], [1284, "1\u202f284"], [-1.18, "−1.18"],
    [1234567.89, "1\u202f234\u202f567.9"], [0.00001, "1.00e−5"], [Number.NaN, "–"],
  ])("%f reads %s", (value, text) => expect(number(value)).toBe(text));
  test("a fixed figure keeps its width and has no negative zero", () => {
    expect(fixed(3.8, 2)).toBe("3.80");
    expect(fixed(-0.001, 2)).toBe("0.00");
  });
  test("counts, bytes and plurals are short", () => {
    expect(count(1_250_000)).toBe("1.25\u202fM");
    expect(bytes(1536)).toBe("1.5 kB");
    expect(plural(1, "reading")).toBe("1 reading");
    expect(plural(2, "reading")).toBe("2 readings");
  });
  test("a cell without value is a dash and a nested one is JSON", () => {
    expect(cell(null)).toBe("–");
    expect(cell({ a: 1 })).toBe('{"a":1}');
    expect(cell(false)).toBe("false");
  });
});

describe("times", () => {
  const now = Date.parse("2026-03-01T12:00:00Z");
  test.each([
    ["2026-03-01T11:59:59.500Z", "just now"], ["2026-03-01T11:59:20Z", "40 s ago"], ["2026-03-01T11:00:00Z", "1 h ago"],
    ["2026-02-26T12:00:00Z", "3 d ago"], [null, "never"],
  ])("%s is %s", (text, expected) => expect(ago(text, now)).toBe(expected));
  test.each([
    [0, "0 ms"], [340, "340 ms"], [1500, "1.5 s"], [200_000, "3 min 20 s"], [7_500_000, "2 h 5 min"], [3_600_000, "1 h"],
  ])("%d ms lasts %s", (millis, expected) => expect(duration(millis)).toBe(expected));
  test("a time without a zone is UTC, as SQL results have it", () => {
    expect(parse("2026-03-01 12:00:00")?.getTime()).toBe(now);
    expect(parse("2026-03-01T13:00:00+01:00")?.getTime()).toBe(now);
    expect(parse("yesterday")).toBeNull();
  });
  test("a time among values is local, other text is left alone", () => {
    expect(momentIn("2020-01-01T12:00:00.5Z")).toBe(moment("2020-01-01T12:00:00.5Z"));
    expect(["open", "2020-01-01", 5, null].map(momentIn)).toEqual([null, null, null, null]);
  });
  test("a moment of another day carries its date", () => {
    expect(moment("2020-01-01T12:00:00Z", new Date(now))).toMatch(/^2020-01-01 /);
  });
});
