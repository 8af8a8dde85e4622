import { useQuery, useQueryClient, useMutation } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Pause, Play } from "lucide-react";
import { api, rows } from "../api/client";
import { queries } from "../api/queries";
import type { Pipeline } from "../api/types";
import { useNow } from "../app/now";
import { Page } from "../app/page";
import { bytes, count } from "../format/number";
import { ago, duration } from "../format/time";
import { drawing } from "../sql/chartable";
import { ResultChart } from "../sql/result-chart";
import { ResultTable } from "../sql/result-table";
import { SqlText } from "../sql/text";
import { tableName } from "../sql/quote";
import { Badge, stateTone } from "../ui/badge";
import { Button } from "../ui/button";
import { Delete } from "../ui/delete";
import { Figures } from "../ui/figures";
import { Found } from "../ui/found";
import { Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { lagText, perMinute } from "./figures";
import { usedText } from "./function-text";
import { Tap } from "./tap";
import { Versions } from "./versions";

const route = getRouteApi("/inside/pipelines/$name");
const ROWS_REFRESH_MS = 3000;

/** One pipeline: how it is doing, what it says, what it wrote last. */
export function PipelineScreen() {
  const { name } = route.useParams();
  const pipelines = useQuery(queries.pipelines);
  const pipeline = pipelines.data?.find((one) => one.name === name);
  return (
    <Page
      title={name}
      sub={pipeline && (pipeline.kind === "alert" ? `Alert rule · ${pipeline.severity ?? "warning"}` : `Pipeline into ${pipeline.into}`)}
      actions={pipeline && <Actions pipeline={pipeline} />}
    >
      <Found kind="Pipeline" name={name} thing={pipeline} list={pipelines}>
        {(found) => <Content pipeline={found} />}
      </Found>
    </Page>
  );
}

function Actions({ pipeline }: { pipeline: Pipeline }) {
  const cache = useQueryClient();
  const refresh = (): Promise<void> => cache.invalidateQueries({ queryKey: ["pipelines"] });
  const isPaused = pipeline.state !== "running";
  const turn = useMutation({
    mutationFn: () => (isPaused ? api.resumePipeline(pipeline.name) : api.pausePipeline(pipeline.name)),
    onSettled: refresh,
  });
  return (
    <>
      <Button
        icon={isPaused ? <Play size={14} aria-hidden /> : <Pause size={14} aria-hidden />}
        disabled={turn.isPending}
        title={turn.error?.message}
        onClick={() => turn.mutate()}
      >
        {isPaused ? "Resume" : "Pause"}
      </Button>
      <Delete name={pipeline.name} list="/pipelines" drop={api.dropPipeline}>
        It stops at once and its open windows are lost. The stream {pipeline.into} and the rows in it stay.
      </Delete>
    </>
  );
}

function Content({ pipeline }: { pipeline: Pipeline }) {
  const now = useNow(1000);
  const figures: [string, React.ReactNode][] = [
    ["State", <Badge key="state" tone={stateTone(pipeline.state)}>{pipeline.state}</Badge>],
    ["Rate", perMinute(pipeline.rate_in)],
    ["Lag", lagText(pipeline)],
    ["Watermark", pipeline.watermark ? ago(pipeline.watermark, now) : "–"],
    ["Rows in", count(pipeline.rows_in)],
    ["Rows out", count(pipeline.rows_out)],
    ["Late", <Late key="late" pipeline={pipeline} />],
    ["Quarantined", <Broken key="broken" pipeline={pipeline} />],
    ["State held", bytes(pipeline.state_bytes)],
    ["Computed for", duration(pipeline.busy_seconds * 1000)],
  ];
  return (
    <div className="grid gap-4">
      {pipeline.error && <ProblemNote error={new Error(pipeline.error)} />}
      <Figures figures={figures} />
      <Panel title="SQL" hint={`version ${pipeline.version}`}>
        <SqlText sql={pipeline.sql} />
        <Used pipeline={pipeline} />
      </Panel>
      <Tap pipeline={pipeline} />
      <Versions pipeline={pipeline} now={now} />
      <Written stream={pipeline.into} />
    </div>
  );
}

/** By which definitions of functions it goes. */
function Used({ pipeline }: { pipeline: Pipeline }) {
  if (pipeline.functions.length === 0) return null;
  const isBehind = pipeline.functions.some((used) => used.newer !== null);
  return (
    <p className="border-t border-line/70 px-4 py-2.5 text-[13px] text-mute wrap-anywhere max-md:px-3">
      Calls {usedText(pipeline.functions)}.
      {isBehind && <span className="text-warn"> CREATE OR REPLACE with the same text takes what is there.</span>}
    </p>
  );
}

function Late({ pipeline }: { pipeline: Pipeline }) {
  if (pipeline.late === 0) return "0";
  const late = `${pipeline.name}.late`;
  return (
    <Link to="/explore" search={{ q: `SELECT * FROM ${tableName(late)} ORDER BY ts DESC LIMIT 100` }} className="text-warn hover:underline">
      {count(pipeline.late)}
    </Link>
  );
}

function Broken({ pipeline }: { pipeline: Pipeline }) {
  if (pipeline.broken === 0) return "0";
  return (
    <Link to="/quarantine" search={{ stream: pipeline.into, reason: "not_computed" }} className="text-warn hover:underline">
      {count(pipeline.broken)}
    </Link>
  );
}

function Written({ stream }: { stream: string }) {
  const written = useQuery({
    queryKey: ["written", stream],
    queryFn: ({ signal }) => rows(`SELECT * FROM ${tableName(stream)} ORDER BY ts DESC LIMIT 200`, signal),
    refetchInterval: ROWS_REFRESH_MS,
  });
  const table = written.data && withoutPlatform(written.data);
  const drawn = table ? drawing(table) : null;
  return (
    <Panel
      title="Rows"
      hint={
        <Link to="/streams/$name" params={{ name: stream }} className="hover:text-accent">
          Stream {stream} →
        </Link>
      }
    >
      {table && table.rows.length > 0 ? (
        <>
          {drawn && <ResultChart drawing={drawn} label={`Rows of ${stream} as chart`} />}
          <ResultTable table={table} label={`Newest rows of ${stream}`} maxHeight={380} />
        </>
      ) : written.error && !written.data ? (
        <div className="p-4">
          <ProblemNote error={written.error} />
        </div>
      ) : (
        <p className="px-4 py-8 text-center text-[13px] text-mute">
          {written.isPending ? "Reading…" : "No row yet. A window is written when the watermark has passed its end."}
        </p>
      )}
    </Panel>
  );
}

/** Leaves out the hub's own columns and those in which nothing stands. */
function withoutPlatform<T extends { columns: { name: string; type: string }[]; rows: unknown[][] }>(table: T): T {
  const kept = table.columns.flatMap((column, index) =>
    !column.name.startsWith("_") && table.rows.some((row) => row[index] !== null) ? [index] : [],
  );
  return {
    ...table,
    columns: kept.flatMap((index) => table.columns[index] ?? []),
    rows: table.rows.map((row) => kept.map((index) => row[index])),
  };
}
