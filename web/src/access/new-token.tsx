import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState, type FormEvent } from "react";
import { api } from "../api/client";
import type { Scope } from "../api/types";
import { Button } from "../ui/button";
import { Choice } from "../ui/choice";
import { CopyBox } from "../ui/copy";
import { Dialog } from "../ui/dialog";
import { Checkbox, Field } from "../ui/field";
import { ProblemNote } from "../ui/problem-note";

const SCOPES: { id: Scope; label: string; hint: string }[] = [
  { id: "read", label: "Read", hint: "ask, follow streams, metrics" },
  { id: "ingest", label: "Send", hint: "publish for any device, as a gateway does" },
  { id: "write", label: "Change", hint: "streams, pipelines, quarantine; contains read" },
  { id: "admin", label: "Administer", hint: "everything, also devices and tokens" },
];
const LIVES = [
  { value: "", label: "Never" },
  { value: "30", label: "In 30 days" },
  { value: "90", label: "In 90 days" },
  { value: "365", label: "In a year" },
] as const;
type Life = (typeof LIVES)[number]["value"];
const DAY_MS = 86_400_000;

export function NewToken({ open, onClose }: { open: boolean; onClose: () => void }) {
  return (
    <Dialog title="New token" open={open} onClose={onClose}>
      {open && <Form onClose={onClose} />}
    </Dialog>
  );
}

function Form({ onClose }: { onClose: () => void }) {
  const cache = useQueryClient();
  const [name, setName] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["read"]);
  const [life, setLife] = useState<Life>("");
  const create = useMutation({
    mutationFn: () =>
      api.createToken({ name: name.trim(), scopes, expires: life === "" ? undefined : new Date(Date.now() + Number(life) * DAY_MS).toISOString() }),
    onSuccess: () => cache.invalidateQueries({ queryKey: ["tokens"] }),
  });
  if (create.data) {
    return (
      <>
        <p className="mb-3 text-[13px] text-mute">Copy it now: it is shown this once.</p>
        <CopyBox label="Token" text={create.data.token} />
        <div className="mt-5 flex justify-end">
          <Button look="primary" onClick={onClose}>
            I have it
          </Button>
        </div>
      </>
    );
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    create.mutate();
  };
  const toggle = (scope: Scope): void => {
    setScopes((before) => (before.includes(scope) ? before.filter((one) => one !== scope) : [...before, scope]));
  };
  return (
    <form onSubmit={submit} className="grid gap-4">
      <Field label="Name" placeholder="What uses it" autoFocus value={name} onChange={(event) => setName(event.target.value)} maxLength={100} />
      <fieldset className="grid gap-2.5">
        <legend className="mb-2 text-[12px] text-mute">It may</legend>
        {SCOPES.map(({ id, label, hint }) => (
          <Checkbox key={id} label={label} hint={hint} checked={scopes.includes(id)} onChange={() => toggle(id)} />
        ))}
      </fieldset>
      <div className="flex items-center gap-3 text-[13px]">
        <span className="text-mute">Ends</span>
        <Choice<Life> label="Ends" value={life} options={LIVES} onChange={setLife} />
      </div>
      {create.error && <ProblemNote error={create.error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" disabled={name.trim() === "" || scopes.length === 0 || create.isPending}>
          Make the token
        </Button>
      </div>
    </form>
  );
}
