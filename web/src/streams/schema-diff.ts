import type { Column, SchemaVersion } from "../api/types";

export interface Change {
  kind: "added" | "gone" | "changed";
  text: string;
}

/** What a version changed against the one before it, property by property. */
export function changes(before: SchemaVersion | undefined, after: SchemaVersion): Change[] {
  const old = new Map(own(before).map((column) => [column.name, column]));
  const fresh = own(after);
  const out: Change[] = [];
  for (const column of fresh) {
    const known = old.get(column.name);
    if (!known) out.push({ kind: "added", text: `${column.name} ${kindOf(column)}` });
    else if (kindOf(known) !== kindOf(column)) out.push({ kind: "changed", text: `${column.name} ${kindOf(known)} → ${kindOf(column)}` });
    old.delete(column.name);
  }
  for (const name of old.keys()) out.push({ kind: "gone", text: name });
  return out;
}

function own(version: SchemaVersion | undefined): Column[] {
  return (version?.columns ?? []).filter((column) => !column.system);
}
function kindOf(column: Column): string {
  return [column.type, column.unit, column.required ? "required" : null].filter(Boolean).join(" ");
}
