import { useQuery } from "@tanstack/react-query";
import { useEffect, useMemo, useState } from "react";
import type { Range } from "../app/range";
import { rows } from "../api/client";
import { stepFor } from "../chart/step";
import { parse } from "../format/time";
import { useTail } from "../tail/use-tail";
import type { Role, Source } from "./energy";
import { aligned, backfillSql, homeFrom, lastValuesSql, LiveSum } from "./power";

export interface PowerLine {
  role: Role;
  values: (number | null)[];
  now: number | null;
}
export interface Power {
  x: number[];
  lines: PowerLine[];
  /** Width of the buckets of the past. */
  stepMs: number;
  isLoading: boolean;
  error: unknown;
}
const POINTS = 240;
/** The present is finer than the past: in the shortest range the lines grow every two seconds. */
const LIVE_POINTS = 450;
const TICK_MS = 1000;
/** A line breaks where more than this many buckets have nothing. */
const GAP_STEPS = 4;

/** Power by role over the range: SQL for the past, the tail for the present, one new state a second. */
export function usePower(sources: readonly Source[], range: Range): Power {
  const key = sources.map((source) => `${source.role}=${source.stream}.${source.column}`).join(",");
  const leastMs = Math.max(0, ...sources.map((source) => 2 * source.intervalMs));
  const stepMs = stepFor(range.spanMs, POINTS, leastMs);
  // The live sum holds the last value of every device, so that it needs no bucket in which each has spoken.
  const liveStepMs = stepFor(range.spanMs, LIVE_POINTS);
  // A fresh set of sums whenever the question changes; the fetch below fills it.
  const sums = useMemo(
    () => sources.map((source) => new LiveSum(source, liveStepMs)),
    // eslint-disable-next-line react-hooks/exhaustive-deps -- `key` says all that matters of the sources
    [key, liveStepMs, range.isLive],
  );
  const span = range.isLive ? range.id : `${range.from}-${range.to}`;
  const past = useQuery({
    queryKey: ["power", key, stepMs, span],
    enabled: sums.length > 0,
    staleTime: 0,
    gcTime: 0,
    queryFn: async ({ signal }) => {
      const [from, to] = range.isLive ? [Date.now() - range.spanMs, Date.now()] : [range.from, range.to];
      await Promise.all(sums.map((sum) => fill(sum, from, to, stepMs, range.isLive, signal)));
      return Date.now();
    },
  });
  useTail({
    streams: range.isLive ? [...new Set(sources.map((source) => source.stream))] : [],
    onFrame: ({ stream, rows: readings }) => {
      for (const sum of sums) {
        if (sum.source.stream !== stream) continue;
        for (const row of readings) {
          const value = row[sum.source.column];
          if (typeof value === "number") sum.observe(String(row.device), value, Date.now());
        }
      }
    },
    onGap: () => void past.refetch(),
  });
  // Before it knows what every device said last, the sum would be of some homes alone.
  const isSeeded = past.isFetched;
  const [, setTick] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => {
      if (range.isLive && isSeeded) for (const sum of sums) sum.tick(Date.now(), Date.now() - range.spanMs);
      setTick((tick) => tick + 1);
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [sums, isSeeded, range.isLive, range.spanMs]);
  return { ...linesOf(sums, GAP_STEPS * stepMs), stepMs, isLoading: past.isPending, error: past.error };
}

async function fill(sum: LiveSum, from: number, to: number, stepMs: number, isLive: boolean, signal: AbortSignal): Promise<void> {
  if (isLive) {
    // Without the twin the sum still grows, device by device, from the tail.
    const last = await rows(lastValuesSql(sum.source), signal).catch(() => null);
    for (const [device, value, ts] of last?.rows ?? []) {
      const at = parse(ts as string)?.getTime();
      if (typeof value === "number" && at !== undefined) sum.observe(String(device), value, at);
    }
  }
  const past = await rows(backfillSql(sum.source, from, to, stepMs), signal);
  const points = past.rows.flatMap(([t, value]): [number, number][] => {
    const at = parse(t as string)?.getTime();
    return at !== undefined && typeof value === "number" ? [[at, value * sum.source.toKw]] : [];
  });
  // The first and the last bucket are cut by the span: half a bucket misses devices.
  sum.backfill(points.slice(1, isLive ? -1 : undefined));
}

function linesOf(sums: readonly LiveSum[], gapMs: number): { x: number[]; lines: PowerLine[] } {
  const { x, columns } = aligned(sums.map((sum) => sum.series()), gapMs);
  const lines = sums.map((sum, index) => ({
    role: sum.source.role,
    values: columns[index] ?? [],
    now: columns[index]?.findLast((value) => value !== null) ?? null,
  }));
  const of = (role: Role): PowerLine | undefined => lines.find((line) => line.role === role);
  const [solar, grid] = [of("solar"), of("grid")];
  if (solar && grid && !of("home")) {
    const values = homeFrom(solar.values, grid.values);
    lines.push({ role: "home", values, now: values.findLast((value) => value !== null) ?? null });
  }
  const order: Role[] = ["solar", "home", "grid"];
  return { x, lines: lines.sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role)) };
}
