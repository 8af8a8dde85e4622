import { expect, test } from "vitest";
import { moment } from "../format/time";
import { compactRow, exactRow, rawRow } from "./decode";

const row = { ts: "2026-01-01T00:00:00Z", device: "a", site: "h", power: 812.44, on: true, note: null, _id: "1", _received: "x" };

test("a row reads as what the device said, without the platform's columns", () => {
  expect(compactRow(row)).toBe("power 812.4 · on true");
  expect(exactRow({ ...row, at: "2026-01-01T00:00:00Z" })).toBe("power 812.44 · on true · at 2026-01-01T00:00:00Z");
  expect(compactRow({ at: "2026-01-01T00:00:00Z" })).toBe(`at ${moment("2026-01-01T00:00:00Z")}`);
  expect(rawRow(row)).toBe('{"power":812.44,"on":true}');
});
