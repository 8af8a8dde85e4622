import { expect, test } from "vitest";
import { inShort } from "./in-short";
import { firingFirst, standing } from "./standing";
import type { AlertEvent } from "../api/types";

test("an alert says in short what was measured", () => {
  const row = { ts: "2026-01-01T00:00:10Z", window_start: "2026-01-01T00:00:00Z", device: "plug-1", room: "attic", peak: 2314, mean: 1200.5, on: true };
  expect(inShort({ key: "attic", row })).toBe("peak 2\u202f314 · mean 1\u202f200.5");
  expect(inShort({ key: "", row: { ts: "2026-01-01T00:00:10Z" } })).toBe("");
});

const EVENT: AlertEvent = {
  id: "one", alert: "hot", severity: "warning", key: "oven", at: "2026-01-01T12:00:00Z", row: {}, resolved_at: null, times: 1,
  firing: true, note: null, acknowledged_at: null, by: null,
};

test("an event tells how long it has been firing, or when it was over", () => {
  const now = Date.parse("2026-01-01T12:12:00Z");
  expect(standing(EVENT, now)).toBe("firing for 12 min");
  const over = { ...EVENT, firing: false, resolved_at: "2026-01-01T12:03:20Z" };
  expect(standing(over, now)).toBe("resolved after 3 min 20 s");
  expect(standing({ ...over, note: "its alert was dropped" }, now)).toBe("over after 3 min 20 s: its alert was dropped");
  // A device whose clock is ahead of this one.
  expect(standing(EVENT, Date.parse("2026-01-01T11:59:00Z"))).toBe("firing for 1 s");
  expect(standing({ ...EVENT, firing: false }, now)).toBeNull();
});

test("what is firing stands before what is newer, once", () => {
  const event = (id: string): AlertEvent => ({ ...EVENT, id });
  const ids = firingFirst([event("old"), event("b")], [event("c"), event("b"), event("a")]).map((one) => one.id);
  expect(ids).toEqual(["old", "b", "c", "a"]);
});
