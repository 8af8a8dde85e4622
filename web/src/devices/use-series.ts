import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { api } from "../api/client";
import type { Row, Series } from "../api/types";
import type { Range } from "../app/range";
import { continued, withGaps, type Values } from "../chart/gaps";
import { parse } from "../format/time";
import { useTail } from "../tail/use-tail";

interface Wanted {
  device: string;
  stream: string;
  property: string;
  range: Range;
  points: number;
}
export interface DeviceSeries {
  x: number[];
  avg: Values;
  min: Values;
  max: Values;
  isLoading: boolean;
  error: unknown;
}
const EMPTY: Series = { ts: [], min: [], avg: [], max: [] };
/** Live points are gathered this long before the chart is drawn again. */
const REDRAW_MS = 250;
/** After this the buckets are asked for again, so that live points do not pile up. */
const REFRESH_MS = 60_000;

/** A numeric property of a device: buckets of the past, followed by those of the readings that arrive. */
export function useDeviceSeries({ device, stream, property, range, points }: Wanted): DeviceSeries {
  const span = range.isLive ? range.id : [range.from, range.to];
  const past = useQuery({
    queryKey: ["series", device, stream, property, points, span],
    queryFn: ({ signal }) => {
      const [from, to] = range.isLive ? [Date.now() - range.spanMs, Date.now()] : [range.from, range.to];
      const params = { stream, property, from: new Date(from).toISOString(), to: new Date(to).toISOString(), points };
      return api.series(device, params, signal);
    },
    placeholderData: keepPreviousData,
    refetchInterval: range.isLive ? REFRESH_MS : false,
  });
  const live = useRef<[number, number][]>([]);
  const [, redraw] = useState(0);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  useTail({
    streams: range.isLive ? [stream] : [],
    device,
    onFrame: (frame) => {
      const fresh = pointsOf(frame.rows, property, device);
      if (fresh.length === 0) return;
      live.current = [...live.current, ...fresh].filter(([at]) => at > Date.now() - range.spanMs - REFRESH_MS).slice(-5000);
      timer.current ??= setTimeout(() => {
        timer.current = undefined;
        redraw((turn) => turn + 1);
      }, REDRAW_MS);
    },
    onGap: () => void past.refetch(),
  });
  const { ts, avg, min, max } = continued(past.data ?? EMPTY, range.isLive ? live.current : [], range.spanMs / points);
  const { x, columns } = withGaps(ts, [avg, min, max]);
  return {
    x,
    avg: columns[0] ?? [],
    min: columns[1] ?? [],
    max: columns[2] ?? [],
    isLoading: past.isPending,
    error: past.error,
  };
}

function pointsOf(rows: readonly Row[], property: string, device: string): [number, number][] {
  return rows.flatMap((row): [number, number][] => {
    const at = parse(String(row.ts))?.getTime();
    const value = row[property];
    const isOurs = row.device === undefined || row.device === device;
    return isOurs && at !== undefined && typeof value === "number" ? [[at, value]] : [];
  });
}

export function seriesPoints(series: DeviceSeries): [number, number][] {
  return series.x.flatMap((at, index): [number, number][] => {
    const value = series.avg[index];
    return typeof value === "number" ? [[at, value]] : [];
  });
}
