import type { AlertEvent } from "../api/types";
import { duration, parse } from "../format/time";

/** How it stands with an event of a rule that has an end: `firing for 12 min`, `resolved after 3 min`. Nothing for others. */
export function standing(event: Pick<AlertEvent, "at" | "resolved_at" | "firing" | "note">, now: number): string | null {
  const at = parse(event.at)?.getTime();
  if (at === undefined) return null;
  if (event.firing) return `firing for ${duration(seconds(now - at))}`;
  const over = parse(event.resolved_at)?.getTime();
  if (over === undefined) return null;
  return event.note ? `over after ${duration(seconds(over - at))}: ${event.note}` : `resolved after ${duration(seconds(over - at))}`;
}

/** Whole seconds, since the clocks of devices, hub and browser are not one. */
function seconds(millis: number): number {
  return Math.max(1000, Math.round(millis / 1000) * 1000);
}

/** What is firing stands first, then the others as they come: the newest first. */
export function firingFirst(firing: readonly AlertEvent[], all: readonly AlertEvent[]): AlertEvent[] {
  const shown = new Set(firing.map((event) => event.id));
  return [...firing, ...all.filter((event) => !shown.has(event.id))];
}
