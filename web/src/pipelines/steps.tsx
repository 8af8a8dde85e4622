import { ChevronRight } from "lucide-react";
import type { Step } from "../api/types";
import { count, plural } from "../format/number";
import { ResultTable } from "../sql/result-table";
import { cx } from "../ui/cx";

/** The steps of a pipeline from its streams to its last columns, each with what it has handed on. `seconds` makes rates of the counts. */
export function Steps({ steps, seconds }: { steps: Step[]; seconds?: number }) {
  return (
    <ol className="divide-y divide-line/70">
      {steps.map((step, index) => (
        // A step has no name of its own; its place is what it is known by.
        <li key={index}>
          <OneStep step={step} seconds={seconds} />
        </li>
      ))}
    </ol>
  );
}

function OneStep({ step, seconds }: { step: Step; seconds: number | undefined }) {
  const flow = seconds === undefined ? plural(step.handed_on, "row") : `${count(step.handed_on / seconds)} rows/s`;
  const isEmpty = step.handed_on === 0;
  return (
    <details className="group" aria-label={`Step ${step.step}`}>
      <summary className="grid min-h-11 cursor-pointer grid-cols-[auto_5.5rem_minmax(0,1fr)_auto] items-center gap-x-3 px-4 py-2 text-[13px] hover:bg-raised max-sm:grid-cols-[auto_minmax(0,1fr)_auto]">
        <ChevronRight size={14} className={cx("text-mute group-open:rotate-90", isEmpty && "invisible")} aria-hidden />
        <span className="font-medium">{step.step}</span>
        <span className="min-w-0 break-words font-mono text-[12.5px] text-mute max-sm:order-last max-sm:col-span-3 max-sm:pl-[26px]">{step.detail}</span>
        <span className={cx("whitespace-nowrap text-right tabular-nums", isEmpty && "text-mute")}>{flow}</span>
      </summary>
      {isEmpty ? (
        <p className="px-4 pb-3.5 text-[13px] text-mute">It has handed on nothing.</p>
      ) : (
        <ResultTable table={step} label={`Last rows of ${step.step}`} maxHeight={240} />
      )}
    </details>
  );
}
