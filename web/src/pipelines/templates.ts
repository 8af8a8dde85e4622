// Statements to begin with, written for the person's own streams so that the first preview shows something.
import type { Stream } from "../api/types";
import { ident, tableName } from "../sql/quote";
import { isDerived, isNumeric, properties } from "../streams/columns";

const PLAIN = /^[a-z_][a-z0-9_]*$/;

/** Means per minute and device of the busiest stream that has a number. */
export function pipelineTemplate(streams: readonly Stream[]): string {
  const { table, column, base } = subject(streams);
  return [
    `CREATE PIPELINE ${base}_minute INTO ${base}_minute AS`,
    `SELECT window_start AS ts, device,`,
    `       avg(${column}) AS mean, max(${column}) AS peak`,
    `FROM TUMBLE(${table}, ts, INTERVAL '1' MINUTE)`,
    `GROUP BY window_start, device`,
  ].join("\n");
}

export function alertTemplate(streams: readonly Stream[]): string {
  const { table, column, base } = subject(streams);
  return [
    `CREATE ALERT high_${base} SEVERITY warning AS`,
    `SELECT ts, device, ${column}`,
    `FROM ${table}`,
    `WHERE ${column} > 4000`,
  ].join("\n");
}

/** A query from Explore, wrapped so that it could run for ever. */
export function asPipeline(query: string): string {
  const body = query.trim().replace(/;\s*$/, "");
  if (/^create\s/i.test(body)) return body;
  // Order and limit have no meaning for rows that never end.
  const endless = body.replace(/\s+(order\s+by|limit)\s[\s\S]*$/i, "");
  return `CREATE PIPELINE my_pipeline INTO my_stream AS\n${endless}`;
}

function subject(streams: readonly Stream[]): { table: string; column: string; base: string } {
  const busiest = streams
    .filter((stream) => !isDerived(stream) && properties(stream).some(isNumeric))
    .toSorted((a, b) => b.rows_per_minute - a.rows_per_minute)[0];
  const column = busiest && properties(busiest).find(isNumeric)?.name;
  if (!busiest || column === undefined) return { table: "meter", column: "power", base: "power" };
  const base = `${busiest.name}_${column}`.toLowerCase().replace(/[^a-z0-9_]+/g, "_");
  return { table: tableName(busiest.name), column: PLAIN.test(column) ? column : ident(column), base };
}

/** What a statement must begin with so that it can be created, or nothing when it does. A bare question has a preview
 *  and no name to be created under. */
export function missingHead(sql: string, isAlert: boolean): string | null {
  const body = sql.replace(/^(\s+|--[^\n]*(\n|$)|\/\*[\s\S]*?\*\/)+/, "");
  if (body === "" || /^create\s+(or\s+replace\s+)?(pipeline|alert)\s/i.test(body)) return null;
  return isAlert ? "Begin with CREATE ALERT name SEVERITY warning AS" : "Begin with CREATE PIPELINE name INTO stream AS";
}

/** The name that a statement would create, to go there afterwards. */
export function nameIn(sql: string): string | null {
  const found = /create\s+(?:or\s+replace\s+)?(?:pipeline|alert)\s+(?:if\s+not\s+exists\s+)?("([^"]+)"|[a-z0-9_.]+)/i.exec(sql);
  return found ? (found[2] ?? found[1]?.toLowerCase() ?? null) : null;
}
