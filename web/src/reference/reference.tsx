import { useQuery } from "@tanstack/react-query";
import { FileJson } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { Page } from "../app/page";
import { plural } from "../format/number";
import { SearchField } from "../ui/field";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { operations, type Document, type Operation } from "./openapi";
import { OperationView } from "./operation";

/** The HTTP API as the hub itself describes it. */
export function Reference() {
  const document = useQuery({
    queryKey: ["openapi"],
    queryFn: async () => (await (await fetch("/api/openapi.json")).json()) as Document,
    staleTime: Infinity,
  });
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text).toLowerCase();
  const groups = [...operations(document.data ?? {})]
    .map(([tag, all]): [string, Operation[]] => [tag, all.filter((one) => matches(one, wanted))])
    .filter(([, found]) => found.length > 0);
  const amount = groups.reduce((sum, [, found]) => sum + found.length, 0);
  return (
    <Page title="API" sub={document.data?.info && `${document.data.info.title ?? "Springhouse"} ${document.data.info.version ?? ""}`}>
      {document.data ? (
        <>
          <div className="mb-4 flex flex-wrap items-center gap-3">
            <SearchField label="Search addresses" className="w-full sm:w-80" value={text} onChange={(event) => setText(event.target.value)} />
            <span className="text-[12px] text-mute">{plural(amount, "operation")}</span>
            <a
              href="/api/openapi.json"
              className="ml-auto flex h-8 items-center gap-1.5 rounded-md border border-line bg-panel px-3 text-[13px] hover:bg-raised"
            >
              <FileJson size={14} aria-hidden />
              openapi.json
            </a>
          </div>
          <div className="grid gap-4">
            {groups.map(([tag, found]) => (
              <Panel key={tag} title={tag} hint={String(found.length)}>
                {found.map((operation) => (
                  <OperationView key={operation.id} document={document.data} operation={operation} />
                ))}
              </Panel>
            ))}
          </div>
        </>
      ) : document.error ? (
        <ProblemNote error={document.error} />
      ) : (
        <Panel title="API">
          <Loading rows={8} />
        </Panel>
      )}
    </Page>
  );
}

function matches(operation: Operation, text: string): boolean {
  return `${operation.id} ${operation.summary ?? ""} ${operation.description ?? ""}`.toLowerCase().includes(text);
}
