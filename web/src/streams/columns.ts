import type { Column, Stream } from "../api/types";

export function isNumeric(column: Pick<Column, "type">): boolean {
  return /^(u?int|float|double|decimal|bigint|real)/i.test(column.type);
}
export function isTime(column: Pick<Column, "type">): boolean {
  return /^(time|timestamp|date)/i.test(column.type);
}

/** The columns that the device's payload filled, in the schema's order. */
export function properties(stream: Stream): Column[] {
  return stream.columns.filter((column) => !(column.system ?? isSystem(column.name)));
}
const SYSTEM = ["ts", "device", "site"];
function isSystem(name: string): boolean {
  return SYSTEM.includes(name) || name.startsWith("_");
}

export function originText(stream: Stream): string {
  if (typeof stream.origin === "string") return stream.origin;
  const [kind, value] = Object.entries(stream.origin)[0] ?? ["derived", null];
  const of = typeof value === "string" ? value : ((value as { pipeline?: string } | null)?.pipeline ?? "");
  return of ? `${kind.toLowerCase()} by ${of}` : kind.toLowerCase();
}
/** Whether a pipeline writes this stream. */
export function isDerived(stream: Stream): boolean {
  return originText(stream).startsWith("derived");
}
