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

/** Whether a pipeline writes this stream. */
export function isDerived(stream: Stream): boolean {
  return stream.origin === "derived";
}
