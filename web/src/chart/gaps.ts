export type Values = (number | null)[];

/** Leaves out buckets without a reading, and breaks the line (one null) where nothing came for much longer than usual:
 *  a device that reports once a minute is one line in buckets of seconds, a device that was away shows a hole. */
export function withGaps(x: readonly number[], columns: readonly Values[], times = 6): { x: number[]; columns: Values[] } {
  const kept = x.flatMap((_, row) => (columns.some((column) => typeof column[row] === "number") ? [row] : []));
  const limit = times * usualGap(kept.map((row) => x[row] ?? 0));
  const outX: number[] = [];
  const out: Values[] = columns.map(() => []);
  let before: number | undefined;
  for (const row of kept) {
    const at = x[row] ?? 0;
    if (before !== undefined && at - before > limit) {
      outX.push((before + at) / 2);
      for (const column of out) column.push(null);
    }
    outX.push(at);
    columns.forEach((column, index) => out[index]?.push(column[row] ?? null));
    before = at;
  }
  return { x: outX, columns: out };
}

function usualGap(x: readonly number[]): number {
  const gaps = x.slice(1).map((at, index) => at - (x[index] ?? at));
  const ordered = gaps.toSorted((a, b) => a - b);
  return ordered[Math.floor(ordered.length / 2)] ?? Number.POSITIVE_INFINITY;
}

/** Appends newer points to the columns; what is not newer than the last is already in a bucket. */
export function appended(x: number[], values: Values, points: readonly (readonly [number, number])[]): { x: number[]; values: Values } {
  const last = x.at(-1) ?? Number.NEGATIVE_INFINITY;
  const fresh = points.filter(([at]) => at > last).toSorted((a, b) => a[0] - b[0]);
  return { x: [...x, ...fresh.map(([at]) => at)], values: [...values, ...fresh.map(([, value]) => value)] };
}
