import type { Stream } from "../api/types";
import { ident, tableName } from "../sql/quote";
import { isDerived, isNumeric, properties } from "../streams/columns";

/** A first question about the person's own data that answers with a chart: means per minute of the busiest stream. */
export function starter(streams: readonly Stream[]): string | null {
  const busiest = streams
    .filter((stream) => !isDerived(stream) && properties(stream).some(isNumeric))
    .toSorted((a, b) => b.rows_per_minute - a.rows_per_minute)[0];
  const column = busiest && properties(busiest).find(isNumeric);
  if (!busiest || !column) return null;
  const name = /^[a-z_][a-z0-9_]*$/.test(column.name) ? column.name : ident(column.name);
  return [
    `SELECT date_bin(INTERVAL '1 minute', ts) AS minute,`,
    `       avg(${name}) AS mean, max(${name}) AS peak, count(*) AS readings`,
    `FROM ${tableName(busiest.name)}`,
    `WHERE ts > now() - INTERVAL '1 hour'`,
    `GROUP BY minute`,
    `ORDER BY minute`,
  ].join("\n");
}

export function download(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
