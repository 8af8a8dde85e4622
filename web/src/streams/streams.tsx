import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Boxes, Check } from "lucide-react";
import { useState } from "react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import type { Stream } from "../api/types";
import { useNow } from "../app/now";
import { Page } from "../app/page";
import { bytes, count, plural } from "../format/number";
import { ago } from "../format/time";
import { APPROVAL_TONE, Badge } from "../ui/badge";
import { Button, LinkButton } from "../ui/button";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Table, type ColumnView, type Sorting } from "../ui/table";
import { properties } from "./columns";
import { Tables } from "./tables";

export function Streams() {
  const streams = useQuery(queries.streams);
  const [sorting, setSorting] = useState<Sorting>({ id: "name", down: false });
  const now = useNow(1000);
  const all = streams.data ?? [];
  const kept = all.reduce((sum, stream) => sum + stream.bytes, 0);
  return (
    <Page title="Streams" sub={all.length > 0 ? `${plural(all.length, "stream")}${kept > 0 ? ` · ${bytes(kept)} on disk` : ""}` : undefined}>
      <Panel title="Streams">
        {streams.error && !streams.data ? (
          <div className="p-4">
            <ProblemNote error={streams.error} />
          </div>
        ) : !streams.data ? (
          <Loading rows={6} />
        ) : all.length === 0 ? (
          <Empty
            icon={<Boxes size={20} />}
            title="No stream yet"
            action={
              <LinkButton to="/connect" look="primary">
                Connect a device
              </LinkButton>
            }
          >
            A stream is a table that grows. The first message to devices/…/meter makes the stream meter, with the columns that the
            message has.
          </Empty>
        ) : (
          <Table label="Streams" columns={columns(now)} rows={all} rowKey={(stream) => stream.name} sorting={sorting} onSort={setSorting} />
        )}
      </Panel>
      <Tables />
    </Page>
  );
}

function columns(now: number): ColumnView<Stream>[] {
  return [
    {
      id: "name",
      title: "Stream",
      sort: (stream) => stream.name,
      cell: (stream) => (
        <Link to="/streams/$name" params={{ name: stream.name }} className="font-medium hover:text-accent">
          {stream.name}
        </Link>
      ),
    },
    {
      id: "state",
      title: "State",
      sort: (stream) => stream.state,
      cell: (stream) => (
        <span className="flex items-center gap-3">
          <Badge tone={APPROVAL_TONE[stream.state]}>{stream.state}</Badge>
          {stream.state === "pending" && <ApproveStream name={stream.name} />}
        </span>
      ),
    },
    {
      id: "origin",
      title: "Origin",
      wide: true,
      sort: (stream) => stream.origin,
      cell: (stream) => (
        <span className="text-mute">
          {stream.origin}
          {stream.pipeline !== null && (
            <>
              {" by "}
              <Link to="/pipelines/$name" params={{ name: stream.pipeline }} className="hover:text-accent">
                {stream.pipeline}
              </Link>
            </>
          )}
        </span>
      ),
    },
    {
      id: "columns",
      title: "Properties",
      wide: true,
      className: "max-w-48",
      cell: (stream) => (
        <span className="block truncate text-mute">{properties(stream).map((column) => column.name).join(", ") || "–"}</span>
      ),
    },
    { id: "version", title: "Version", align: "right", wide: true, sort: (stream) => stream.schema_version, cell: (stream) => stream.schema_version },
    { id: "rows", title: "Rows", align: "right", sort: (stream) => stream.rows, cell: (stream) => count(stream.rows) },
    { id: "rate", title: "Rate", align: "right", sort: (stream) => stream.rows_per_minute, cell: (stream) => `${count(stream.rows_per_minute)}/min` },
    { id: "last", title: "Last", align: "right", wide: true, sort: (stream) => stream.last_at, cell: (stream) => <span className="text-mute">{ago(stream.last_at, now)}</span> },
  ];
}

/** Accepts a stream that made itself, with the schema that was inferred. */
export function ApproveStream({ name }: { name: string }) {
  const cache = useQueryClient();
  const approve = useMutation({
    mutationFn: () => api.approveStream(name),
    onSettled: () => cache.invalidateQueries({ queryKey: ["streams"] }),
  });
  return (
    <Button
      className="h-7! border-ok/50! px-2! text-ok"
      icon={<Check size={14} aria-hidden />}
      aria-label={`Approve ${name}`}
      title={approve.error?.message}
      disabled={approve.isPending}
      onClick={() => approve.mutate()}
    >
      Approve
    </Button>
  );
}
