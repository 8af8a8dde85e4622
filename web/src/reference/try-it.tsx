import { useMutation } from "@tanstack/react-query";
import { Play } from "lucide-react";
import { useState, type FormEvent } from "react";
import { tryGet } from "../api/client";
import { duration } from "../format/time";
import { payloadText } from "../quarantine/reason";
import { Button } from "../ui/button";
import { Field } from "../ui/field";
import { ProblemNote } from "../ui/problem-note";
import { addressOf, type Operation } from "./openapi";

/** More of an answer would only slow the page down. */
const SHOWN_CHARS_MAX = 20_000;

/** Asks the hub with the session of the page; reading changes nothing. */
export function TryIt({ operation }: { operation: Operation }) {
  const parameters = (operation.parameters ?? []).filter((one) => one.in === "path" || one.in === "query");
  const [values, setValues] = useState<Record<string, string>>({});
  const address = addressOf(operation, values);
  const ask = useMutation({ mutationFn: tryGet });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if ("path" in address) ask.mutate(address.path);
  };
  return (
    <form onSubmit={submit} aria-label={`Try ${operation.id}`}>
      <div className="flex flex-wrap items-end gap-3">
        {parameters.map((one) => (
          <Field
            key={one.name}
            label={one.required ? `${one.name} (required)` : one.name}
            className="w-44"
            placeholder={one.example === undefined ? "" : String(one.example)}
            value={values[one.name] ?? ""}
            onChange={(event) => {
              const { value } = event.target;
              setValues((before) => ({ ...before, [one.name]: value }));
            }}
          />
        ))}
        <Button type="submit" icon={<Play size={13} aria-hidden />} disabled={!("path" in address) || ask.isPending}>
          Try it
        </Button>
      </div>
      {ask.error && (
        <div className="mt-3">
          <ProblemNote error={ask.error} />
        </div>
      )}
      {ask.data && (
        <div className="mt-3">
          <p role="status" className="mb-1.5 text-[12px] text-mute tabular-nums">
            Status <span className={ask.data.status < 400 ? "text-ok" : "text-bad"}>{ask.data.status}</span> · {duration(ask.data.took_ms)}
          </p>
          <pre tabIndex={0} aria-label="Answer" className="max-h-96 overflow-auto rounded-lg border border-line bg-bg px-3.5 py-2.5 font-mono text-[12px] leading-relaxed">
            {payloadText(ask.data.body).slice(0, SHOWN_CHARS_MAX)}
          </pre>
        </div>
      )}
    </form>
  );
}
