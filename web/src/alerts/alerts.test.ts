import { expect, test } from "vitest";
import { inShort } from "./in-short";

test("an alert says in short what was measured", () => {
  const row = { ts: "2026-01-01T00:00:10Z", window_start: "2026-01-01T00:00:00Z", device: "plug-1", room: "attic", peak: 2314, mean: 1200.5, on: true };
  expect(inShort({ key: "attic", row })).toBe("peak 2\u202f314 · mean 1\u202f200.5");
  expect(inShort({ key: "", row: { ts: "2026-01-01T00:00:10Z" } })).toBe("");
});
