import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Database, Radio } from "lucide-react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import type { Stream } from "../api/types";
import { useNow } from "../app/now";
import { Page } from "../app/page";
import { bytes, count } from "../format/number";
import { ago, duration } from "../format/time";
import { ResultTable } from "../sql/result-table";
import { SqlText } from "../sql/text";
import { tableName } from "../sql/quote";
import { APPROVAL_TONE, Badge } from "../ui/badge";
import { LinkButton } from "../ui/button";
import { Delete } from "../ui/delete";
import { Figures } from "../ui/figures";
import { Found } from "../ui/found";
import { Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { SchemaPanel } from "./schema-panel";
import { ApproveStream } from "./streams";

const route = getRouteApi("/inside/streams/$name");
const ROWS_REFRESH_MS = 3000;

export function StreamScreen() {
  const { name } = route.useParams();
  const streams = useQuery(queries.streams);
  const stream = streams.data?.find((one) => one.name === name);
  return (
    <Page
      title={name}
      sub={stream && `${stream.origin} stream · schema version ${stream.schema_version}`}
      actions={
        stream && (
          <>
            <LinkButton to="/live" search={{ stream: name }} icon={<Radio size={14} aria-hidden />}>
              Live
            </LinkButton>
            <LinkButton
              to="/explore"
              search={{ q: `SELECT * FROM ${tableName(name)} ORDER BY ts DESC LIMIT 100` }}
              icon={<Database size={14} aria-hidden />}
            >
              Query
            </LinkButton>
            <Delete name={name} list="/streams" drop={api.dropStream}>
              The stream and its schema are deleted, and its readings cannot be asked for any more. A device that goes on
              sending makes a stream of this name anew.
            </Delete>
          </>
        )
      }
    >
      <Found kind="Stream" name={name} thing={stream} list={streams}>
        {(found) => <Content stream={found} />}
      </Found>
    </Page>
  );
}

function Content({ stream }: { stream: Stream }) {
  const now = useNow(1000);
  const figures: [string, React.ReactNode][] = [
    ["State", <Badge key="state" tone={APPROVAL_TONE[stream.state]}>{stream.state}</Badge>],
    ["Rate", `${count(stream.rows_per_minute)}/min`],
    ["Rows", count(stream.rows)],
    ["Devices", count(stream.devices)],
    ["Last", ago(stream.last_at, now)],
    ["In the lake", bytes(stream.bytes)],
    ["Waits for late", duration(stream.watermark_seconds * 1000)],
  ];
  return (
    <div className="grid gap-4">
      {stream.state === "pending" && (
        <div className="flex flex-wrap items-center gap-3 rounded-xl border border-warn/40 bg-warn/8 px-4 py-2.5 text-[13px]">
          This stream was made by its first message. Look at the columns, then approve them.
          <span className="ml-auto">
            <ApproveStream name={stream.name} />
          </span>
        </div>
      )}
      <Figures figures={figures} />
      <div className="grid items-start gap-4 xl:grid-cols-2">
        <ColumnsPanel stream={stream} />
        <SchemaPanel name={stream.name} isDerived={stream.origin === "derived"} />
      </div>
      {stream.sql && (
        <Panel
          title="Statement"
          hint={
            stream.pipeline !== null && (
              <Link to="/pipelines/$name" params={{ name: stream.pipeline }} className="hover:text-accent">
                Pipeline {stream.pipeline} →
              </Link>
            )
          }
        >
          <SqlText sql={stream.sql} />
        </Panel>
      )}
      <Newest name={stream.name} />
    </div>
  );
}

function ColumnsPanel({ stream }: { stream: Stream }) {
  return (
    <Panel title="Columns" hint={String(stream.columns.length)}>
      <ul className="max-h-110 overflow-y-auto" tabIndex={0} aria-label="Columns">
        {stream.columns.map((column) => (
          <li key={column.name} className="flex min-h-9 items-center gap-3 border-b border-line/50 px-4 text-[13px] last:border-0">
            <span className={`truncate font-mono text-[12.5px] ${column.system ? "text-mute" : ""}`}>{column.name}</span>
            {column.required && !column.system && <Badge tone="mute">required</Badge>}
            <span className="ml-auto whitespace-nowrap text-[12px] text-mute">
              {column.system ? "given by the hub · " : ""}
              {column.type}
              {column.unit ? `, ${column.unit}` : ""}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Newest({ name }: { name: string }) {
  const newest = useQuery({
    queryKey: ["newest", name],
    queryFn: () => api.readings(name, { limit: 50 }),
    refetchInterval: ROWS_REFRESH_MS,
  });
  return (
    <Panel title="Newest rows" hint="refreshed every 3 s">
      {newest.data && newest.data.rows.length > 0 ? (
        <ResultTable table={newest.data} label={`Newest rows of ${name}`} maxHeight={400} />
      ) : newest.error && !newest.data ? (
        <div className="p-4">
          <ProblemNote error={newest.error} />
        </div>
      ) : (
        <p className="px-4 py-8 text-center text-[13px] text-mute">{newest.isPending ? "Reading…" : "No row yet."}</p>
      )}
    </Panel>
  );
}
