import { TimeChart } from "../chart/time-chart";
import { lineColor } from "../chart/colors";
import { plural } from "../format/number";
import { useState } from "react";
import type { Drawing } from "./chartable";

/** The answer as lines over its time; brushing zooms, a double click shows all again. */
export function ResultChart({ drawing, label }: { drawing: Drawing; label: string }) {
  const [zoom, setZoom] = useState<[number, number] | null>(null);
  const [from, to] = zoom ?? [drawing.x[0] ?? 0, drawing.x.at(-1) ?? 1];
  return (
    <div className="p-2">
      <TimeChart
        label={label}
        x={drawing.x}
        lines={drawing.lines.map((line, index) => ({ ...line, color: lineColor(index), values: joined(line.values) as typeof line.values }))}
        from={from}
        to={to}
        height={320}
        onZoom={(a, b) => setZoom([a, b])}
        onReset={() => setZoom(null)}
      />
      <ul className="flex flex-wrap gap-x-4 gap-y-1 px-3 pb-2 pt-1 text-[12px] text-mute" aria-label="Lines">
        {drawing.lines.map((line, index) => (
          <li key={line.label} className="flex items-center gap-1.5">
            <span aria-hidden className="h-0.5 w-3 rounded" style={{ background: `var(${lineColor(index)})` }} />
            {line.label}
          </li>
        ))}
        {drawing.hidden > 0 && <li>and {plural(drawing.hidden, "line")} below these; narrow the query to see them</li>}
      </ul>
    </div>
  );
}

/** Rows of several names share the times: what has no value at another's time is skipped, not a hole (uPlot takes
 *  `undefined` for that, `null` for a hole). */
function joined(values: readonly (number | null)[]): (number | null | undefined)[] {
  return values.map((value) => value ?? undefined);
}
