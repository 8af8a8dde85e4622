import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import { useTheme } from "../app/theme";
import { number } from "../format/number";
import { chartOptions, type ChartLine } from "./options";

interface Props {
  /** Epoch milliseconds, ascending. */
  x: readonly number[];
  lines: readonly ChartLine[];
  from: number;
  to: number;
  height: number;
  /** Name for those who do not see it. */
  label: string;
  /** Charts of one key share the cursor. */
  syncKey?: string;
  onZoom?: (from: number, to: number) => void;
  onReset?: () => void;
  /** Row under the cursor, or nothing. */
  onHover?: (row: number | null) => void;
}

/** Lines over time on a canvas. It follows `from` and `to`, so a live range slides; brushing asks for a zoom. */
export function TimeChart({ x, lines, from, to, height, label, syncKey, onZoom, onReset, onHover }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const theme = useTheme();
  const hasFonts = useFonts();
  const now = useRef({ from, to, onZoom, onReset, onHover });
  now.current = { from, to, onZoom, onReset, onHover };
  const structure = JSON.stringify(lines.map(({ label: name, color, fill, stroke, band, step }) => [name, color, fill, stroke, band, step]));
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = [x.map((at) => at / 1000), ...lines.map((line) => line.values)] as uPlot.AlignedData;

  useEffect(() => {
    const element = box.current;
    if (!element || !hasFonts) return;
    const chart = new uPlot(
      chartOptions({ lines, width: element.clientWidth, height, syncKey, now }),
      data.current,
      element,
    );
    plot.current = chart;
    const reset = (): void => now.current.onReset?.();
    chart.over.addEventListener("dblclick", reset);
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
    // The lines' values come through the second effect; only a change of their structure needs another chart.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [structure, height, syncKey, theme, hasFonts]);

  useEffect(() => {
    plot.current?.setData(data.current);
  });

  return (
    <div
      ref={box}
      role="img"
      aria-label={`${label}. ${summary(lines)}`}
      data-points={x.length}
      data-last={x.at(-1) ?? ""}
      className="w-full overflow-hidden"
      style={{ height }}
    />
  );
}

function summary(lines: readonly ChartLine[]): string {
  return lines
    .filter((line) => line.stroke !== false)
    .map((line) => {
      const last = line.values.findLast((value) => typeof value === "number");
      return typeof last === "number" ? `${line.label} ${number(last)}${line.unit ? ` ${line.unit}` : ""}` : `${line.label} without readings`;
    })
    .join(", ");
}

/** A canvas does not repaint when a font arrives: the axis would keep the fallback's letters. */
function useFonts(): boolean {
  const [ready, setReady] = useState(document.fonts.status === "loaded");
  useEffect(() => {
    let isHere = true;
    void Promise.all([document.fonts.load('11px "Inter Variable"'), document.fonts.ready]).finally(() => isHere && setReady(true));
    return () => {
      isHere = false;
    };
  }, []);
  return ready;
}
