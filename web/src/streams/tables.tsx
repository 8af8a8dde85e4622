import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { RefreshCw, Table2 } from "lucide-react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import type { ReferenceTable } from "../api/types";
import { useNow } from "../app/now";
import { count } from "../format/number";
import { ago } from "../format/time";
import { Badge } from "../ui/badge";
import { Button, LinkButton } from "../ui/button";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Table, type ColumnView } from "../ui/table";
import { columnText, sourceText } from "./table-text";

const EXAMPLE = "CREATE TABLE rooms (device TEXT, room TEXT, limit_c DOUBLE, PRIMARY KEY (device))";

/** Data beside the streams: what is in it, where it comes from, and whether that works. */
export function Tables() {
  const tables = useQuery(queries.tables);
  const now = useNow(1000);
  return (
    <Panel title="Tables" className="mt-4">
      {tables.error && !tables.data ? (
        <div className="p-4">
          <ProblemNote error={tables.error} />
        </div>
      ) : !tables.data ? (
        <Loading rows={2} />
      ) : tables.data.length === 0 ? (
        <Empty
          icon={<Table2 size={20} />}
          title="No table yet"
          action={
            <LinkButton to="/explore" search={{ q: EXAMPLE }}>
              Create one
            </LinkButton>
          }
        >
          Rooms, customers, tariffs, limits: what devices do not say, and alerts and pipelines look up beside their readings. It comes
          from a file, or is sent by springhouse table load.
        </Empty>
      ) : (
        <>
          <Failures tables={tables.data} />
          <Table label="Tables" columns={columns(now)} rows={tables.data} rowKey={(table) => table.name} />
        </>
      )}
    </Panel>
  );
}

function columns(now: number): ColumnView<ReferenceTable>[] {
  return [
    { id: "name", title: "Table", cell: (table) => <span className="font-medium">{table.name}</span> },
    { id: "state", title: "State", cell: (table) => <State table={table} /> },
    {
      id: "columns",
      title: "Columns",
      wide: true,
      className: "max-w-56",
      cell: (table) => (
        <span className="block truncate text-mute" title={columnText(table)}>
          {columnText(table)}
        </span>
      ),
    },
    { id: "source", title: "From", wide: true, className: "max-w-48", cell: (table) => <span className="block truncate text-mute">{sourceText(table)}</span> },
    { id: "rows", title: "Rows", align: "right", cell: (table) => count(table.rows) },
    { id: "changed", title: "Changed", align: "right", wide: true, cell: (table) => <span className="text-mute">{ago(table.changed_at, now)}</span> },
    { id: "refresh", title: "", align: "right", cell: (table) => table.source !== "given" && <Refresh name={table.name} /> },
  ];
}

/** What is wrong is read whole: it names file, line and column. */
function Failures({ tables }: { tables: readonly ReferenceTable[] }) {
  const failing = tables.filter((table) => table.error !== null);
  if (failing.length === 0) return null;
  return (
    <ul className="space-y-1 border-b border-line/70 px-4 py-2.5 text-[13px] max-md:px-3">
      {failing.map((table) => (
        <li key={table.name} className="wrap-anywhere">
          <span className="font-medium">{table.name}</span> keeps its rows: <span className="text-bad">{table.error}</span>
        </li>
      ))}
    </ul>
  );
}

function State({ table }: { table: ReferenceTable }) {
  if (table.error !== null) return <Badge tone="bad">failing</Badge>;
  return table.version === null ? <Badge tone="warn">no rows yet</Badge> : <Badge tone="ok">{`version ${table.version}`}</Badge>;
}

/** Reads the source again; what is wrong with it stands in the row then. */
function Refresh({ name }: { name: string }) {
  const cache = useQueryClient();
  const refresh = useMutation({
    mutationFn: () => api.refreshTable(name),
    onSettled: () => cache.invalidateQueries({ queryKey: ["tables"] }),
  });
  return (
    <Button
      className="h-7! px-2!"
      icon={<RefreshCw size={14} aria-hidden />}
      aria-label={`Refresh ${name}`}
      title={refresh.error?.message}
      disabled={refresh.isPending}
      onClick={() => refresh.mutate()}
    >
      <span className="max-md:sr-only">Refresh</span>
    </Button>
  );
}
