import type { ReferenceTable } from "../api/types";
import { duration } from "../format/time";

/** The columns with those of the key marked: `device (key), room, limit_c °C`. */
export function columnText(table: Pick<ReferenceTable, "columns" | "key" | "valid_from">): string {
  const mark = (name: string): string => (table.key.includes(name) ? " (key)" : table.valid_from === name ? " (valid from)" : "");
  return table.columns.map(({ name, unit }) => `${name}${unit ? ` ${unit}` : ""}${mark(name)}`).join(", ");
}

/** Where rows come from, and how often. */
export function sourceText(table: Pick<ReferenceTable, "source" | "place" | "refresh_seconds">): string {
  const source = { file: table.place ?? "a file", query: "a query over history", given: "rows that are sent" }[table.source];
  return table.refresh_seconds === null ? source : `${source}, every ${duration(table.refresh_seconds * 1000)}`;
}
