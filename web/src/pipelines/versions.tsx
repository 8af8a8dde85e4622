import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { ChevronRight, RotateCcw } from "lucide-react";
import { useState } from "react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import type { Pipeline, PipelineChange, PipelineVersion } from "../api/types";
import { ago, moment } from "../format/time";
import { Button } from "../ui/button";
import { Confirm } from "../ui/confirm";
import { cx } from "../ui/cx";
import { Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { changedLines, type Line } from "./lines";

/** The statements that a pipeline has had, each with what it changed, and the way back to them. */
export function Versions({ pipeline, now }: { pipeline: Pipeline; now: number }) {
  const versions = useQuery(queries.versions(pipeline.name, pipeline.version));
  const [asked, setAsked] = useState<PipelineVersion | null>(null);
  const list = versions.data ?? [];
  return (
    <Panel title="Versions" hint={list.length === 1 ? "the first one" : `${list.length}, the present one first`}>
      {versions.error && (
        <div className="p-4">
          <ProblemNote error={versions.error} />
        </div>
      )}
      <ul className="divide-y divide-line/70">
        {list.map((version, index) => (
          <li key={version.version}>
            <Version
              version={version}
              older={list[index + 1]}
              isPresent={version.version === pipeline.version}
              now={now}
              onRollBack={() => setAsked(version)}
            />
          </li>
        ))}
      </ul>
      {asked && <RollBack pipeline={pipeline} version={asked} onClose={() => setAsked(null)} />}
    </Panel>
  );
}

interface VersionProps {
  version: PipelineVersion;
  older: PipelineVersion | undefined;
  isPresent: boolean;
  now: number;
  onRollBack: () => void;
}
function Version({ version, older, isPresent, now, onRollBack }: VersionProps) {
  return (
    <details className="group" aria-label={`Version ${version.version}`}>
      <summary className="flex min-h-11 cursor-pointer flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2 text-[13px] hover:bg-raised">
        <ChevronRight size={14} className="text-mute group-open:rotate-90" aria-hidden />
        <span className="font-medium">Version {version.version}</span>
        <span className="text-mute" title={moment(version.created_at)}>
          {ago(version.created_at, now)}
          {version.by && ` by ${version.by}`}
        </span>
        {isPresent && <span className="ml-auto text-[12px] text-mute">present</span>}
      </summary>
      <Changes lines={older ? changedLines(older.sql, version.sql) : changedLines(version.sql, version.sql)} />
      {!isPresent && (
        <div className="px-4 pb-3.5">
          <Button icon={<RotateCcw size={14} aria-hidden />} onClick={onRollBack}>
            Roll back to version {version.version}
          </Button>
        </div>
      )}
    </details>
  );
}

const COLORS: Record<Line["mark"], string> = { " ": "text-mute", "+": "text-ok", "-": "text-bad" };

function Changes({ lines }: { lines: Line[] }) {
  return (
    <pre tabIndex={0} aria-label="What it changed" className="overflow-x-auto px-4 py-2.5 font-mono text-[12.5px] leading-relaxed">
      {lines.map(({ mark, text }, index) => (
        <span key={index} className={cx("block", COLORS[mark])}>
          {mark} {text}
        </span>
      ))}
    </pre>
  );
}

function RollBack({ pipeline, version, onClose }: { pipeline: Pipeline; version: PipelineVersion; onClose: () => void }) {
  const cache = useQueryClient();
  const foreseen = useQuery({
    queryKey: ["foreseen", pipeline.name, version.version, pipeline.version],
    queryFn: () => api.foreseeRollBack(pipeline.name, version.version),
  });
  const rolling = useMutation({
    mutationFn: () => api.rollBack(pipeline.name, version.version),
    onSuccess: async () => {
      onClose();
      await cache.invalidateQueries();
    },
  });
  return (
    <Confirm
      title={`Roll ${pipeline.name} back?`}
      verb="Roll back"
      open
      busy={rolling.isPending}
      error={rolling.error ?? foreseen.error}
      onConfirm={() => rolling.mutate()}
      onClose={onClose}
    >
      The statement of version {version.version} becomes the present one.{" "}
      {foreseen.data && whatBecomes(foreseen.data)}
    </Confirm>
  );
}

/** What becomes of the windows that are open. */
function whatBecomes({ keeps, reads_again, begins_empty, gives_up }: PipelineChange): string {
  if (begins_empty.length > 0) return `Its first windows count rows from here on: ${begins_empty.join(" and ")} begins empty.`;
  if (reads_again.length > 0) return `Open windows are computed anew from the log: ${reads_again.join(" and ")}.`;
  if (gives_up.length > 0) return `Windows that are open are lost: ${gives_up.join(" and ")}.`;
  return keeps.length > 0 ? "Windows that are open stay whole." : "";
}
