// The span of time that all charts of a screen show. It lives in the URL, so that a link shows the same to everybody.
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useNow } from "./now";

export const RANGES = [
  { id: "15m", label: "Last 15 min", ms: 15 * 60_000 },
  { id: "1h", label: "Last hour", ms: 3_600_000 },
  { id: "6h", label: "Last 6 h", ms: 6 * 3_600_000 },
  { id: "24h", label: "Last 24 h", ms: 24 * 3_600_000 },
  { id: "7d", label: "Last 7 d", ms: 7 * 86_400_000 },
] as const;
export type RangeId = (typeof RANGES)[number]["id"];
export const DEFAULT_RANGE: RangeId = "15m";

export interface RangeSearch {
  range?: RangeId;
  /** A fixed span, epoch milliseconds; wins over `range`. */
  from?: number;
  to?: number;
}
export interface Range {
  from: number;
  to: number;
  spanMs: number;
  /** Ends now and moves on. */
  isLive: boolean;
  label: string;
  id: RangeId;
}

export function readRange(search: Record<string, unknown>): RangeSearch {
  const id = RANGES.find((range) => range.id === search.range)?.id;
  const [from, to] = [Number(search.from), Number(search.to)];
  const isSpan = Number.isFinite(from) && Number.isFinite(to) && to > from && search.from !== undefined;
  return isSpan ? { range: id, from, to } : { range: id };
}

export function resolveRange(search: RangeSearch, now: number): Range {
  const known = RANGES.find((range) => range.id === search.range) ?? RANGES[0];
  if (search.from !== undefined && search.to !== undefined) {
    const { from, to } = search;
    return { from, to, spanMs: to - from, isLive: false, label: "Zoomed", id: known.id };
  }
  return { from: now - known.ms, to: now, spanMs: known.ms, isLive: true, label: known.label, id: known.id };
}

/** Less than this is no chart. */
const SPAN_MS_MIN = 60_000;

/** The shortest live range without the time before there was anything to see: the charts of a hub or a device that has
 *  just begun fill their width from the first minute on. A range that somebody chose spans what it says. */
export function sinceBirth(range: Range, bornAt: number): Range {
  if (!range.isLive || range.id !== DEFAULT_RANGE || !Number.isFinite(bornAt)) return range;
  const from = Math.max(range.from, Math.min(bornAt, range.to - SPAN_MS_MIN));
  return { ...range, from };
}

/** The range, moving on once a second while it is live. */
export function useRange(): Range {
  const search = useSearch({ strict: false }) as RangeSearch;
  return resolveRange(search, useNow(1000));
}

export function useSetRange(): (next: RangeSearch) => void {
  const navigate = useNavigate();
  return (next) => {
    void navigate({
      to: ".",
      search: ((before: Record<string, unknown>) => ({ ...before, from: undefined, to: undefined, ...next })) as never,
      replace: next.range !== undefined,
    });
  };
}
