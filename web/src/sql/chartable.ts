// How the answer to a query can be drawn: time along the bottom, one line per number or per name.
import type { Table } from "../api/types";
import type { Values } from "../chart/gaps";
import { parse } from "../format/time";
import { isNumeric, isTime } from "../streams/columns";

export interface Drawing {
  x: number[];
  lines: { label: string; values: Values }[];
  /** Lines that were left out because nobody could tell them apart: those that stay lowest. */
  hidden: number;
}
const LINES_MAX = 7;

/** Nothing when the answer has no time, no number or a single moment. */
export function drawing(table: Table): Drawing | null {
  const time = table.columns.findIndex(isTime);
  const numbers = table.columns.flatMap((column, index) => (isNumeric(column) ? [index] : []));
  if (time < 0 || numbers.length === 0) return null;
  const name = table.columns.findIndex((column) => /^(text|utf8|string|varchar)/i.test(column.type));
  const grid = new Map<number, Map<string, number>>();
  const labels: string[] = [];
  for (const row of table.rows) {
    const at = parse(row[time] as string)?.getTime();
    if (at === undefined) continue;
    const group = name >= 0 ? String(row[name] ?? "–") : "";
    for (const index of numbers) {
      const value = row[index];
      if (typeof value !== "number") continue;
      const column = table.columns[index]?.name ?? "";
      const label = name < 0 ? column : numbers.length === 1 ? group : `${group} ${column}`;
      if (!labels.includes(label)) labels.push(label);
      const cells = grid.get(at) ?? new Map<string, number>();
      cells.set(label, value);
      grid.set(at, cells);
    }
  }
  const x = [...grid.keys()].sort((a, b) => a - b);
  if (x.length < 2) return null;
  const lines = labels.map((label) => ({ label, values: x.map((at) => grid.get(at)?.get(label) ?? null) }));
  const shown = new Set(lines.toSorted((a, b) => peak(b.values) - peak(a.values)).slice(0, LINES_MAX));
  return { x, lines: lines.filter((line) => shown.has(line)), hidden: lines.length - shown.size };
}

function peak(values: Values): number {
  return values.reduce<number>((most, value) => (value !== null && value > most ? value : most), Number.NEGATIVE_INFINITY);
}
