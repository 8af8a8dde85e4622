import { Clock, X } from "lucide-react";
import { Choice } from "../ui/choice";
import { IconButton } from "../ui/button";
import { clock, day } from "../format/time";
import { RANGES, useRange, useSetRange, type RangeId } from "./range";

export function RangePicker({ className = "" }: { className?: string }) {
  const range = useRange();
  const setRange = useSetRange();
  return (
    <div className={`flex items-center ${className}`}>
      {!range.isLive && (
        <span className="mr-1 flex items-center whitespace-nowrap rounded-md bg-accent/12 pl-2.5 text-[12px] text-accent tabular-nums">
          {spanText(range.from, range.to)}
          <IconButton label="Back to now" className="text-accent!" onClick={() => setRange({ range: range.id })}>
            <X size={14} />
          </IconButton>
        </span>
      )}
      <Choice<RangeId>
        label="Time range"
        icon={<Clock size={14} aria-hidden />}
        value={range.id}
        options={RANGES.map(({ id, label }) => ({ value: id, label }))}
        onChange={(id) => setRange({ range: id })}
      />
    </div>
  );
}

function spanText(from: number, to: number): string {
  const [a, b] = [new Date(from), new Date(to)];
  const isToday = day(a) === day(new Date());
  return `${isToday ? "" : `${day(a)} `}${clock(a)} – ${day(a) === day(b) ? "" : `${day(b)} `}${clock(b)}`;
}
