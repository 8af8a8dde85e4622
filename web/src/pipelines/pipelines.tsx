import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { GitBranch, Plus } from "lucide-react";
import { useState } from "react";
import type { Pipeline } from "../api/types";
import { queries } from "../api/queries";
import { useNow } from "../app/now";
import { Page } from "../app/page";
import { count, plural } from "../format/number";
import { ago } from "../format/time";
import { Badge, stateTone } from "../ui/badge";
import { LinkButton } from "../ui/button";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Table, type ColumnView, type Sorting } from "../ui/table";
import { lagText, perMinute } from "./figures";
import { Functions } from "./functions";

export function Pipelines() {
  const pipelines = useQuery(queries.pipelines);
  const [sorting, setSorting] = useState<Sorting>({ id: "name", down: false });
  const now = useNow(1000);
  const all = pipelines.data ?? [];
  const running = all.filter((pipeline) => pipeline.state === "running").length;
  return (
    <Page
      title="Pipelines"
      sub={all.length > 0 ? `${plural(all.length, "pipeline")} · ${running} running` : "SQL that runs while readings arrive"}
      actions={
        <LinkButton to="/pipelines/new" look="primary" icon={<Plus size={15} aria-hidden />}>
          New pipeline
        </LinkButton>
      }
    >
      <Panel title="Pipelines">
        {pipelines.error && !pipelines.data ? (
          <div className="p-4">
            <ProblemNote error={pipelines.error} />
          </div>
        ) : !pipelines.data ? (
          <Loading />
        ) : all.length === 0 ? (
          <Empty
            icon={<GitBranch size={20} />}
            title="No pipeline yet"
            action={
              <LinkButton to="/pipelines/new" look="primary">
                Write the first one
              </LinkButton>
            }
          >
            A pipeline is a SELECT that never ends: it reads a stream and writes another, such as the mean of every minute. You
            see what it would have done before it is created.
          </Empty>
        ) : (
          <Table label="Pipelines" columns={columns(now)} rows={all} rowKey={(row) => row.name} sorting={sorting} onSort={setSorting} />
        )}
      </Panel>
      <Functions />
    </Page>
  );
}

function columns(now: number): ColumnView<Pipeline>[] {
  return [
    {
      id: "name",
      title: "Name",
      sort: (row) => row.name,
      cell: (row) => (
        <Link to="/pipelines/$name" params={{ name: row.name }} className="font-medium hover:text-accent">
          {row.name}
          {row.kind === "alert" && <span className="ml-2 font-normal text-mute">alert</span>}
        </Link>
      ),
    },
    {
      id: "state",
      title: "State",
      sort: (row) => row.state,
      cell: (row) => (
        <span title={row.error ?? undefined}>
          <Badge tone={stateTone(row.state)}>{row.state}</Badge>
        </span>
      ),
    },
    { id: "into", title: "Writes", wide: true, sort: (row) => row.into, cell: (row) => <span className="text-mute">{row.into}</span> },
    { id: "rate", title: "Rate", align: "right", sort: (row) => row.rate_in, cell: (row) => perMinute(row.rate_in) },
    { id: "lag", title: "Lag", align: "right", sort: (row) => row.lag_records, cell: (row) => <span className="text-mute">{lagText(row)}</span> },
    {
      id: "watermark",
      title: "Watermark",
      align: "right",
      wide: true,
      sort: (row) => row.watermark,
      cell: (row) => <span className="text-mute">{row.watermark ? ago(row.watermark, now) : "–"}</span>,
    },
    { id: "out", title: "Rows out", align: "right", wide: true, sort: (row) => row.rows_out, cell: (row) => count(row.rows_out) },
    {
      id: "late",
      title: "Late",
      align: "right",
      wide: true,
      sort: (row) => row.late,
      cell: (row) => <span className={row.late > 0 ? "text-warn" : "text-mute"}>{count(row.late)}</span>,
    },
  ];
}
