import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Pencil } from "lucide-react";
import { useState } from "react";
import { api } from "../api/client";
import { queries } from "../api/queries";
import type { Schemas } from "../api/types";
import { plural } from "../format/number";
import { Button } from "../ui/button";
import { Loading, Panel } from "../ui/panel";
import { ProblemNote } from "../ui/problem-note";
import { changes, type Change } from "./schema-diff";

const TONE: Record<Change["kind"], string> = { added: "text-ok", gone: "text-bad", changed: "text-warn" };
const SIGN: Record<Change["kind"], string> = { added: "+", gone: "−", changed: "~" };

/** The versions of a schema with what each changed, and the way to the next one. */
export function SchemaPanel({ name, isDerived }: { name: string; isDerived: boolean }) {
  const schema = useQuery(queries.schema(name));
  const [isEditing, setEditing] = useState(false);
  return (
    <Panel
      title="Schema"
      hint={
        schema.data &&
        !isDerived &&
        !isEditing && (
          <Button look="quiet" className="-mr-2 h-7! px-2! text-[12px]!" icon={<Pencil size={13} aria-hidden />} onClick={() => setEditing(true)}>
            Change
          </Button>
        )
      }
    >
      {schema.error && !schema.data ? (
        <div className="p-4">
          <ProblemNote error={schema.error} />
        </div>
      ) : !schema.data ? (
        <Loading />
      ) : isEditing ? (
        <Editor name={name} schema={schema.data} onDone={() => setEditing(false)} />
      ) : (
        <Versions schema={schema.data} />
      )}
    </Panel>
  );
}

function Versions({ schema }: { schema: Schemas }) {
  const versions = schema.versions;
  return (
    <ol aria-label="Versions, newest first">
      {versions.toReversed().map((version) => {
        const before = versions[versions.indexOf(version) - 1];
        const changed = changes(before, version);
        return (
          <li key={version.version} className="border-b border-line/50 px-4 py-2.5 text-[13px] last:border-0">
            <details open={version.version === schema.version && versions.length > 1}>
              <summary className="flex list-none items-center gap-2">
                <span className="font-medium">Version {version.version}</span>
                <span className="ml-auto text-[12px] text-mute">
                  {before ? plural(changed.length, "change") : plural(changed.length, "property", "properties")}
                  {version.additional ? " · grows by itself" : " · closed"}
                </span>
              </summary>
              <ul className="mt-1.5 font-mono text-[12px] leading-relaxed">
                {changed.map((change) => (
                  <li key={change.text} className={before ? TONE[change.kind] : "text-mute"}>
                    {before ? `${SIGN[change.kind]} ` : ""}
                    {change.text}
                  </li>
                ))}
              </ul>
            </details>
          </li>
        );
      })}
    </ol>
  );
}

function Editor({ name, schema, onDone }: { name: string; schema: Schemas; onDone: () => void }) {
  const cache = useQueryClient();
  const [text, setText] = useState(() => JSON.stringify(schema.json_schema, null, 2));
  const save = useMutation({
    mutationFn: () => api.putSchema(name, JSON.parse(text) as unknown),
    onSuccess: async () => {
      await Promise.all([cache.invalidateQueries({ queryKey: ["schema", name] }), cache.invalidateQueries({ queryKey: ["streams"] })]);
      onDone();
    },
  });
  return (
    <div className="p-4">
      <textarea
        aria-label="JSON Schema"
        spellCheck={false}
        value={text}
        onChange={(event) => setText(event.target.value)}
        className="h-72 w-full resize-y rounded-md border border-edge/70 bg-bg p-3 font-mono text-[12.5px] leading-relaxed"
      />
      <p className="mt-1 text-[12px] text-mute">Earlier readings must still fit: properties can be added and numbers widened, not taken away.</p>
      {save.error && (
        <div className="mt-3">
          <ProblemNote error={save.error} />
        </div>
      )}
      <div className="mt-3 flex justify-end gap-2">
        <Button onClick={onDone}>Cancel</Button>
        <Button look="primary" disabled={save.isPending} onClick={() => save.mutate()}>
          Save as a new version
        </Button>
      </div>
    </div>
  );
}
