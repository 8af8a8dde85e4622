import type { RefObject } from "react";
import uPlot from "uplot";
import { tickNumbers, tickText, yRange } from "./axis";
import { faded, resolved } from "./colors";
import type { Values } from "./gaps";

export interface ChartLine {
  label: string;
  /** Custom property of the theme. */
  color: string;
  values: Values;
  unit?: string;
  /** Pixels; a line that another may cover is wider. */
  width?: number;
  /** Faint area below the line. */
  fill?: boolean;
  /** `false` for the edges of a band. */
  stroke?: boolean;
  /** This line and the next are the upper and lower edge of a band. */
  band?: boolean;
  /** Holds its value until the next point: states and on/off. */
  step?: boolean;
}

interface Wanted {
  lines: readonly ChartLine[];
  width: number;
  height: number;
  syncKey?: string;
  now: RefObject<{
    from: number;
    to: number;
    onZoom?: (from: number, to: number) => void;
    onHover?: (row: number | null) => void;
  }>;
}

/** So few points may lie within a pixel or two of a long range: each is drawn as a dot. */
const POINTS_FEW = 4;
/** A brush narrower than this many pixels is a click. */
const BRUSH_PIXELS_MIN = 5;

export function chartOptions({ lines, width, height, syncKey, now }: Wanted): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: resolved("--color-mute"),
    grid: { stroke: faded(resolved("--color-line"), 0.45), width: 1 },
    ticks: { show: false },
    font: '11px "Inter Variable", system-ui, sans-serif',
  };
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, 30, 0, 0],
    cursor: {
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
      sync: syncKey ? { key: syncKey, setSeries: false } : undefined,
    },
    scales: {
      x: { time: true, range: () => [now.current.from / 1000, now.current.to / 1000] },
      y: { range: (_, low, high) => yRange(low, high) },
    },
    axes: [
      { ...axis, space: 74, size: 30, gap: 6, values: (_, ticks, _axis, _space, every) => ticks.map((tick) => tickText(tick, every)) },
      {
        ...axis,
        space: 34,
        gap: 6,
        values: (_, ticks) => tickNumbers(ticks),
        size: (_, values) => 16 + 6.4 * Math.max(3, ...(values ?? []).map((value) => value.length)),
      },
    ],
    series: [{}, ...lines.map(seriesOf)],
    bands: lines.flatMap((line, index) =>
      line.band ? [{ series: [index + 1, index + 2] as [number, number], fill: faded(resolved(line.color), 0.16) }] : [],
    ),
    hooks: {
      setSelect: [
        (chart) => {
          const { left, width: pixels } = chart.select;
          if (pixels < BRUSH_PIXELS_MIN) return;
          const [from, to] = [chart.posToVal(left, "x") * 1000, chart.posToVal(left + pixels, "x") * 1000];
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          now.current.onZoom?.(Math.round(from), Math.round(to));
        },
      ],
      setCursor: [(chart) => now.current.onHover?.(chart.cursor.idx ?? null)],
    },
  };
}

function seriesOf(line: ChartLine): uPlot.Series {
  const color = resolved(line.color);
  const isEdge = line.stroke === false;
  return {
    label: line.label,
    stroke: isEdge ? "transparent" : color,
    width: isEdge ? 0 : (line.width ?? 1.75),
    fill: line.fill ? faded(color, 0.12) : undefined,
    points: { show: (_, __, first, last) => !isEdge && last - first < POINTS_FEW, size: 5, fill: color },
    paths: line.step ? uPlot.paths.stepped?.({ align: 1 }) : undefined,
  };
}

