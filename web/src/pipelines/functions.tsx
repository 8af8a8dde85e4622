import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { SquareFunction } from "lucide-react";
import { queries } from "../api/queries";
import type { SqlFunction } from "../api/types";
import { useNow } from "../app/now";
import { ago } from "../format/time";
import { Badge } from "../ui/badge";
import { LinkButton } from "../ui/button";
import { Empty, Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Table, type ColumnView } from "../ui/table";
import { behind } from "./function-text";

const EXAMPLE = "CREATE FUNCTION fahrenheit(celsius DOUBLE) RETURNS DOUBLE RETURN celsius * 1.8 + 32";

/** Functions that people have written or brought, and who goes by which of their definitions. */
export function Functions() {
  const functions = useQuery(queries.functions);
  const now = useNow(1000);
  return (
    <Panel title="Functions" className="mt-4">
      {functions.error && !functions.data ? (
        <div className="p-4">
          <ProblemNote error={functions.error} />
        </div>
      ) : !functions.data ? (
        <Loading rows={2} />
      ) : functions.data.length === 0 ? (
        <Empty
          icon={<SquareFunction size={20} />}
          title="No function yet"
          action={
            <LinkButton to="/explore" search={{ q: EXAMPLE }}>
              Write one
            </LinkButton>
          }
        >
          A formula that several statements need gets a name, and pipelines, alerts and queries call it.
        </Empty>
      ) : (
        <Table label="Functions" columns={columns(now)} rows={functions.data} rowKey={(fn) => fn.name} />
      )}
    </Panel>
  );
}

function columns(now: number): ColumnView<SqlFunction>[] {
  return [
    {
      id: "name",
      title: "Function",
      className: "max-w-80 max-md:max-w-48",
      cell: (fn) => (
        <span className="block whitespace-normal wrap-anywhere" title={fn.sql}>
          <span className="font-medium">{fn.name}</span>
          <span className="text-mute">{(fn.signature ?? "").slice(fn.name.length)}</span>
        </span>
      ),
    },
    { id: "state", title: "State", cell: (fn) => <State fn={fn} /> },
    { id: "used", title: "Called by", wide: true, className: "max-w-72", cell: (fn) => <Users fn={fn} /> },
    { id: "changed", title: "Changed", align: "right", wide: true, cell: (fn) => <span className="text-mute">{ago(fn.changed_at, now)}</span> },
  ];
}

function State({ fn }: { fn: SqlFunction }) {
  if (fn.error !== null) {
    return (
      <span title={fn.error}>
        <Badge tone="bad">failing</Badge>
      </span>
    );
  }
  return (
    <span className="flex flex-wrap gap-1">
      <Badge tone="ok">{`version ${fn.version}`}</Badge>
      {fn.component !== null && (
        <span title={`WebAssembly component, SHA-256 ${fn.component}`}>
          <Badge tone="mute">{fn.language}</Badge>
        </span>
      )}
    </span>
  );
}

/** Pipelines as links, with the version by which one goes when it is not the present one; then functions. */
function Users({ fn }: { fn: SqlFunction }) {
  if (fn.used_by.length + fn.called_by.length === 0) return <span className="text-mute">–</span>;
  const late = behind(fn);
  return (
    <span className="flex flex-wrap gap-x-3">
      {fn.used_by.map((user) => (
        <span key={user.pipeline}>
          <Link to="/pipelines/$name" params={{ name: user.pipeline }} className="hover:text-accent">
            {user.pipeline}
          </Link>
          {late.includes(user.pipeline) && <span className="ml-1 text-warn">version {user.version}</span>}
        </span>
      ))}
      {fn.called_by.map((name) => (
        <span key={name} className="text-mute">
          {name}()
        </span>
      ))}
    </span>
  );
}
