import type { Preview } from "../api/types";
import { plural } from "../format/number";
import { duration } from "../format/time";
import { drawing } from "../sql/chartable";
import { ResultChart } from "../sql/result-chart";
import { ResultTable } from "../sql/result-table";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Steps } from "./steps";

interface Props {
  preview: { data?: Preview; error: unknown; isPending: boolean };
  minutes: number;
  isAlert: boolean;
}
/** What the statement would have written over the last minutes. */
export function PreviewPanel({ preview, minutes, isAlert }: Props) {
  if (preview.error) return <ProblemNote error={preview.error} />;
  if (preview.isPending) {
    return (
      <Panel title="Preview">
        <Loading rows={6} label="The preview runs" />
      </Panel>
    );
  }
  const result = preview.data;
  if (!result) {
    return (
      <Panel title="Preview">
        <p className="px-4 py-8 text-center text-[13px] text-mute">
          The preview runs the statement over the last {minutes} minutes and creates nothing.
        </p>
      </Panel>
    );
  }
  const drawn = isAlert ? null : drawing(result);
  const facts = [
    isAlert ? `would have fired ${plural(result.rows.length, "time")}` : plural(result.rows.length, "row"),
    `${plural(result.scanned, "reading")} read`,
    ...(result.late > 0 ? [`${result.late} late`] : []),
    ...(result.broken > 0 ? [`${result.broken} without a value`] : []),
    duration(result.took_ms),
  ];
  return (
    <>
      <Panel
        title="Preview"
        hint={
          <span role="status" className="tabular-nums">
            {facts.join(" · ")}
          </span>
        }
      >
        {result.why_broken && (
          <p className="border-b border-line px-4 py-2 text-[13px] text-warn">
            {plural(result.broken, "row")} would go to quarantine: {result.why_broken}
          </p>
        )}
        {result.rows.length === 0 ? (
          <p className="px-4 py-8 text-center text-[13px] text-mute">
            {isAlert
              ? `It would not have fired in the last ${minutes} minutes.`
              : "No row in that time: no window was completed, or nothing fits the condition."}
          </p>
        ) : (
          <>
            {drawn && <ResultChart drawing={drawn} label="Preview as chart" />}
            <ResultTable table={result} label="Preview rows" maxHeight={340} />
          </>
        )}
      </Panel>
      {result.steps && (
        <Panel title="Steps" hint="what each has handed on">
          <Steps steps={result.steps} />
        </Panel>
      )}
    </>
  );
}
