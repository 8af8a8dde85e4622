// The power of all homes over time: buckets from SQL for what was, sums of each device's last value for what is.
import type { Source } from "./energy";
import { ident, tableName, timestamp } from "../sql/quote";
import { sqlInterval } from "../chart/step";

/** A device that has said nothing for this many of its intervals does not count any more. */
const SILENT_INTERVALS = 6;

export function backfillSql(source: Source, from: number, to: number, stepMs: number): string {
  const column = ident(source.column);
  return (
    `SELECT t, sum(p) AS power FROM (SELECT date_bin(${sqlInterval(stepMs)}, ts) AS t, device, avg(${column}) AS p ` +
    `FROM ${tableName(source.stream)} WHERE ts >= ${timestamp(from)} AND ts < ${timestamp(to)} AND ${column} IS NOT NULL ` +
    `GROUP BY 1, device) AS by_device GROUP BY t ORDER BY t`
  );
}

/** What every device said last; seeds the live sum. */
export function lastValuesSql(source: Source): string {
  return `SELECT device, number, ts FROM twin WHERE stream = '${source.stream.replaceAll("'", "''")}' AND property = '${source.column.replaceAll("'", "''")}'`;
}

/** The live sum of one source in buckets of its own, after those of the back-fill. */
export class LiveSum {
  private readonly last = new Map<string, { value: number; at: number }>();
  private points: [number, number][] = [];

  constructor(
    readonly source: Source,
    readonly stepMs: number,
  ) {}

  backfill(points: readonly (readonly [number, number])[]): void {
    const newest = points.at(-1)?.[0] ?? Number.NEGATIVE_INFINITY;
    this.points = [...points.map(([at, value]): [number, number] => [at, value]), ...this.points.filter(([at]) => at > newest)];
  }

  observe(device: string, value: number, at: number): void {
    const known = this.last.get(device);
    if (!known || known.at <= at) this.last.set(device, { value, at });
  }

  /** Kilowatts of all devices that still speak, or nothing when none does. */
  total(now: number): number | null {
    const oldest = now - Math.max(30_000, SILENT_INTERVALS * this.source.intervalMs);
    let sum: number | null = null;
    for (const { value, at } of this.last.values()) if (at >= oldest) sum = (sum ?? 0) + value;
    return sum === null ? null : sum * this.source.toKw;
  }

  /** Renews the bucket of `now` and forgets what is before `from`. */
  tick(now: number, from: number): void {
    const total = this.total(now);
    if (total === null) return;
    const bucket = Math.floor(now / this.stepMs) * this.stepMs;
    const last = this.points.at(-1);
    if (last && last[0] >= bucket) last[1] = total;
    else this.points.push([bucket, total]);
    const first = this.points.findIndex(([at]) => at >= from - this.stepMs);
    if (first > 0) this.points.splice(0, first);
  }

  series(): readonly (readonly [number, number])[] {
    return this.points;
  }
}

type Points = readonly (readonly [number, number])[];

/** Aligns the sums on the union of their times. Between two points that are not further apart than `gapMs` a line goes
 *  straight, and it holds its last value as long; otherwise it has a hole. */
export function aligned(sums: readonly Points[], gapMs: number): { x: number[]; columns: (number | null)[][] } {
  const x = [...new Set(sums.flatMap((points) => points.map(([at]) => at)))].sort((a, b) => a - b);
  return { x, columns: sums.map((points) => valuesAt(x, points, gapMs)) };
}

function valuesAt(x: readonly number[], points: Points, gapMs: number): (number | null)[] {
  let next = 0;
  return x.map((time) => {
    while (next < points.length && (points[next]?.[0] ?? 0) <= time) next += 1;
    const [before, after] = [points[next - 1], points[next]];
    if (!before) return null;
    if (before[0] === time) return before[1];
    if (!after) return time - before[0] <= gapMs ? before[1] : null;
    if (after[0] - before[0] > gapMs) return null;
    return before[1] + ((after[1] - before[1]) * (time - before[0])) / (after[0] - before[0]);
  });
}

/** Without a meter in the house, what it uses is what the roof gives and the grid adds. */
export function homeFrom(solar: readonly (number | null)[], grid: readonly (number | null)[]): (number | null)[] {
  return grid.map((value, row) => {
    const sun = solar[row];
    return value === null || sun === null || sun === undefined ? null : value + sun;
  });
}
