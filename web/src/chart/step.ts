/** Widths of time buckets that read well on an axis, in milliseconds. */
const STEPS_MS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400].map((s) => s * 1000);

/** The narrowest bucket that covers `spanMs` with at most `points` and is not below `leastMs` (a bucket shorter than
 *  the interval of reporting would be empty for some devices, and their sum would flicker). */
export function stepFor(spanMs: number, points: number, leastMs = 0): number {
  const wanted = Math.max(spanMs / points, leastMs);
  return STEPS_MS.find((step) => step >= wanted) ?? 86_400_000;
}

/** A bucket width as a SQL interval. */
export function sqlInterval(stepMs: number): string {
  return `INTERVAL '${stepMs / 1000} seconds'`;
}
