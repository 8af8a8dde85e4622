import { useState } from "react";
import { sinceBirth, useRange, useSetRange } from "../app/range";
import { TimeChart } from "../chart/time-chart";
import { clock } from "../format/time";
import { number } from "../format/number";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import type { ChartOf } from "./charts";
import { useDeviceSeries } from "./use-series";

interface Props extends ChartOf {
  device: string;
  title: string;
  /** When the device came to be. */
  bornAt: string;
}
const POINTS = 300;

/** One property over the range: the mean as a line, least and greatest of each bucket as a band around it. */
export function PropertyChart({ device, stream, property, unit, latest, title, bornAt }: Props) {
  const range = sinceBirth(useRange(), Date.parse(bornAt));
  const setRange = useSetRange();
  const series = useDeviceSeries({ device, stream, property, range, points: POINTS });
  const [hover, setHover] = useState<number | null>(null);
  const row = hover !== null && typeof series.avg[hover] === "number" ? hover : series.avg.findLastIndex((value) => value !== null);
  const at = series.x[row];
  // A bucket begins before the readings of which it is the mean; the last of them is what a person asks for.
  const isNow = hover === null && range.isLive && at !== undefined && Date.parse(latest.ts) >= at;
  const value = isNow ? latest.value : series.avg[row];
  return (
    <Panel
      title={title}
      hint={
        typeof value === "number" && (
          <>
            {hover !== null && at !== undefined && <span className="tabular-nums">{clock(new Date(at))}</span>}
            <span className="text-[13px] text-ink tabular-nums">
              {number(value)}
              {unit && <span className="text-mute"> {unit}</span>}
            </span>
          </>
        )
      }
    >
      {series.error && series.x.length === 0 ? (
        <div className="p-4">
          <ProblemNote error={series.error} />
        </div>
      ) : series.isLoading ? (
        <Loading rows={5} />
      ) : series.x.length === 0 ? (
        <p className="grid h-47 place-items-center text-[13px] text-mute">No reading in this range</p>
      ) : (
        <div className="px-1 pb-1">
          <TimeChart
            label={`${title} of ${device}`}
            syncKey={`device:${device}`}
            x={series.x}
            lines={[
              { label: "greatest", color: "--color-accent", values: series.max, stroke: false, band: true },
              { label: "least", color: "--color-accent", values: series.min, stroke: false },
              { label: property, color: "--color-accent", values: series.avg, unit: unit ?? undefined },
            ]}
            from={range.from}
            to={range.to}
            height={184}
            onZoom={(from, to) => setRange({ from, to })}
            onReset={() => setRange({ range: range.id })}
            onHover={setHover}
          />
        </div>
      )}
    </Panel>
  );
}
