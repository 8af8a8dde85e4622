import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { cx } from "../ui/cx";
import { bodySchema, fields, typeText, type Document, type Operation, type SchemaNode } from "./openapi";
import { TryIt } from "./try-it";

const COLORS: Record<string, string> = { GET: "text-accent", POST: "text-ok", PUT: "text-warn", DELETE: "text-bad" };

export function OperationView({ document, operation }: { document: Document; operation: Operation }) {
  const [isOpen, setOpen] = useState(false);
  return (
    <div className="border-b border-line/50 last:border-0">
      <button
        type="button"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
        className="flex min-h-11 w-full flex-wrap items-center gap-x-3 px-4 py-1.5 text-left text-[13px] hover:bg-raised/40"
      >
        <ChevronRight size={14} className={cx("shrink-0 text-mute transition-transform", isOpen && "rotate-90")} aria-hidden />
        <span className={cx("w-14 shrink-0 font-mono text-[12px] font-semibold", COLORS[operation.method])}>{operation.method}</span>
        <span className="break-all font-mono text-[12.5px]">{operation.path}</span>
        <span className="ml-auto truncate text-mute max-md:hidden">{operation.summary ?? operation.description?.split("\n")[0]}</span>
      </button>
      {isOpen && (
        <div className="grid gap-4 border-t border-line/40 bg-bg/40 p-4 pl-11 text-[13px] max-sm:pl-4">
          {(operation.description ?? operation.summary) && <p className="max-w-[75ch] leading-relaxed">{operation.description ?? operation.summary}</p>}
          <Parameters operation={operation} />
          <Shape title="Body" document={document} node={bodySchema(operation.requestBody)} />
          {Object.entries(operation.responses ?? {}).map(([status, response]) => (
            <Shape key={status} title={`Answer ${status}`} text={response.description} document={document} node={bodySchema(response)} />
          ))}
          {operation.method === "GET" && !/\/(tail|mqtt)$/.test(operation.path) && <TryIt operation={operation} />}
        </div>
      )}
    </div>
  );
}

function Parameters({ operation }: { operation: Operation }) {
  const parameters = operation.parameters ?? [];
  if (parameters.length === 0) return null;
  return (
    <section>
      <h3 className="mb-1.5 text-[12px] text-mute">Parameters</h3>
      <dl className="grid gap-y-1.5 sm:grid-cols-[220px_minmax(0,1fr)]">
        {parameters.map((parameter) => (
          <div key={parameter.name} className="contents">
            <dt className="font-mono text-[12.5px]">
              {parameter.name}
              <span className="ml-2 font-sans text-[12px] text-mute">
                {parameter.in}
                {parameter.required && ", required"}
              </span>
            </dt>
            <dd className="text-mute">{parameter.description ?? typeText(parameter.schema)}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}

function Shape({ title, text, document, node }: { title: string; text?: string; document: Document; node: SchemaNode | undefined }) {
  if (!node && !text) return null;
  const rows = fields(document, node);
  return (
    <section>
      <h3 className="mb-1.5 text-[12px] text-mute">
        {title}
        {node && <span className="ml-2 font-mono">{typeText(node)}</span>}
        {text && <span className="ml-2">{text}</span>}
      </h3>
      {rows.length > 0 && (
        <dl className="grid gap-y-1 sm:grid-cols-[220px_minmax(0,1fr)]">
          {rows.map((row) => (
            <div key={row.name} className="contents">
              <dt className="font-mono text-[12.5px]">{row.name}</dt>
              <dd className="text-mute">
                <span className="font-mono text-[12px] text-ink">{row.type}</span> {row.text}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}
