import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi } from "@tanstack/react-router";
import { Check, ChartLine, Download, GitBranch, Link2, Play, Table2 } from "lucide-react";
import { useEffect, useState } from "react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import { Page } from "../app/page";
import { count, plural } from "../format/number";
import { duration } from "../format/time";
import { drawing } from "../sql/chartable";
import { SqlEditor } from "../sql/editor";
import { ResultChart } from "../sql/result-chart";
import { ResultTable } from "../sql/result-table";
import { Button, LinkButton } from "../ui/button";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { Tabs } from "../ui/tabs";
import { History } from "./history-panel";
import { remember } from "./history";
import { StreamList } from "./stream-list";
import { download, starter } from "./starter";

const route = getRouteApi("/inside/explore");

/** Questions over now and history. The question is in the URL, so that a link asks it again. */
export function Explore() {
  const { q, view } = route.useSearch();
  const navigate = route.useNavigate();
  const cache = useQueryClient();
  const streams = useQuery(queries.streams).data ?? [];
  const [text, setText] = useState(q ?? "");
  const run = useMutation({
    mutationFn: (query: string) => api.sql(query),
    onSuccess: (result, query) => {
      remember(query);
      // A statement may have made or dropped anything.
      if (!("rows" in result)) void cache.invalidateQueries();
    },
  });
  const ask = (query: string): void => {
    const trimmed = query.trim();
    if (trimmed === "") return;
    setText(query);
    run.mutate(trimmed);
    void navigate({ search: (before) => ({ ...before, q: trimmed }), replace: q === trimmed });
  };
  // A link with a question, or the way back to one, asks it.
  useEffect(() => {
    if (q !== undefined && q !== run.variables) {
      setText(q);
      run.mutate(q);
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps -- only a change of the URL asks again
  }, [q]);
  const first = starter(streams);
  useEffect(() => {
    if (q === undefined && text === "" && first !== null) setText(first);
    // eslint-disable-next-line react-hooks/exhaustive-deps -- fills the empty editor once the streams are known
  }, [first]);

  return (
    <Page
      title="Explore"
      sub="SQL over the live tail and the history at once"
      actions={
        <>
          <ShareButton />
          <Button look="primary" icon={<Play size={14} aria-hidden />} disabled={run.isPending || text.trim() === ""} onClick={() => ask(text)}>
            Run
          </Button>
        </>
      }
    >
      <div className="grid items-start gap-4 xl:grid-cols-[minmax(0,1fr)_280px]">
        <div className="grid min-w-0 gap-4">
          <Panel title="SQL" hint={<span>Ctrl + Enter runs it</span>}>
            <SqlEditor label="SQL query" value={text} onChange={setText} onRun={() => ask(text)} streams={streams} placeholder="SELECT …" />
          </Panel>
          <Result run={run} view={view ?? "table"} onView={(next) => void navigate({ search: (before) => ({ ...before, view: next }), replace: true })} />
        </div>
        <div className="grid gap-4">
          <StreamList streams={streams} onPick={ask} />
          <History onPick={ask} />
        </div>
      </div>
    </Page>
  );
}

interface ResultProps {
  run: { data?: Awaited<ReturnType<typeof api.sql>>; error: unknown; isPending: boolean; variables?: string };
  view: "table" | "chart";
  onView: (view: "table" | "chart") => void;
}
function Result({ run, view, onView }: ResultProps) {
  const [exportError, setExportError] = useState<unknown>(null);
  if (run.isPending) {
    return (
      <Panel title="Result">
        <Loading rows={6} label="The query runs" />
      </Panel>
    );
  }
  if (run.error) return <ProblemNote error={run.error} />;
  const result = run.data;
  if (!result) return null;
  if (!("rows" in result)) {
    return (
      <Panel title="Done">
        <p role="status" className="flex items-center gap-2 px-4 py-4 text-[13px]">
          <Check size={15} className="text-ok" aria-hidden />
          {result.message}
        </p>
      </Panel>
    );
  }
  const drawn = drawing(result);
  const query = run.variables ?? "";
  const label = `${plural(result.row_count, "row")}${result.truncated ? " (cut off)" : ""} · ${duration(result.took_ms)}`;
  return (
    <Panel
      title="Result"
      hint={
        <>
          <span role="status" className="tabular-nums">
            {label}
          </span>
          <LinkButton to="/pipelines/new" search={{ q: query }} look="quiet" icon={<GitBranch size={14} aria-hidden />}>
            <span className="max-md:sr-only">Make a pipeline</span>
          </LinkButton>
          <Button
            look="quiet"
            className="-mr-2"
            icon={<Download size={14} aria-hidden />}
            onClick={() => {
              setExportError(null);
              api.sqlCsv(query).then((file) => download(file, "springhouse.csv"), setExportError);
            }}
          >
            CSV
          </Button>
        </>
      }
    >
      {exportError ? (
        <div className="p-4">
          <ProblemNote error={exportError} />
        </div>
      ) : null}
      {result.rows.length === 0 ? (
        <p className="px-4 py-8 text-center text-[13px] text-mute">The query answered with no rows.</p>
      ) : (
        <Tabs
          label="Result as"
          value={drawn ? view : "table"}
          onChange={onView}
          tabs={[
            { id: "table", label: <TabName icon={<Table2 size={14} />} text="Table" />, content: <ResultTable table={result} label={`Result, ${count(result.rows.length)} rows`} /> },
            ...(drawn
              ? [{ id: "chart" as const, label: <TabName icon={<ChartLine size={14} />} text="Chart" />, content: <ResultChart key={query} drawing={drawn} label="Result as chart" /> }]
              : []),
          ]}
        />
      )}
    </Panel>
  );
}

function TabName({ icon, text }: { icon: React.ReactNode; text: string }) {
  return (
    <span className="flex items-center gap-1.5">
      {icon}
      {text}
    </span>
  );
}

function ShareButton() {
  const [done, setDone] = useState(false);
  return (
    <Button
      icon={done ? <Check size={14} className="text-ok" aria-hidden /> : <Link2 size={14} aria-hidden />}
      onClick={() => {
        navigator.clipboard?.writeText(window.location.href).then(() => setDone(true), () => undefined);
      }}
    >
      {done ? "Copied" : "Copy link"}
    </Button>
  );
}
