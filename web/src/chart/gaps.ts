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

export interface Buckets {
  ts: readonly number[];
  avg: Values;
  min: Values;
  max: Values;
}

/** Goes on with buckets of `stepMs` for the readings behind the last one, so that the present is a mean like the past.
 *  What falls into a bucket that has a value is in it already, or will be when the buckets are asked for again. */
export function continued({ ts, avg, min, max }: Buckets, points: readonly (readonly [number, number])[], stepMs: number): Buckets {
  const last = ts.at(-1);
  const hasLast = typeof avg.at(-1) === "number";
  const origin = last ?? 0;
  const fresh = new Map<number, number[]>();
  for (const [at, value] of points) {
    const bucket = origin + Math.floor((at - origin) / stepMs) * stepMs;
    if (last !== undefined && (bucket < last || (bucket === last && hasLast))) continue;
    fresh.set(bucket, [...(fresh.get(bucket) ?? []), value]);
  }
  const added = [...fresh].toSorted((a, b) => a[0] - b[0]);
  const kept = last !== undefined && fresh.has(last) ? -1 : undefined;
  return {
    ts: [...ts.slice(0, kept), ...added.map(([at]) => at)],
    avg: [...avg.slice(0, kept), ...added.map(([, values]) => values.reduce((sum, value) => sum + value, 0) / values.length)],
    min: [...min.slice(0, kept), ...added.map(([, values]) => Math.min(...values))],
    max: [...max.slice(0, kept), ...added.map(([, values]) => Math.max(...values))],
  };
}
