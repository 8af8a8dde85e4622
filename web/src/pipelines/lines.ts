/** A line of a text beside an older one: the same in both, only in the newer, or only in the older. */
export interface Line {
  mark: " " | "+" | "-";
  text: string;
}

/** Longer texts are shown one after the other: the table of the comparison grows with the product of both. */
const LINES_MAX = 500;

/** The lines of a text, and where they have changed since an older one, by the longest sequence that both share. */
export function changedLines(older: string, newer: string): Line[] {
  const [old, now] = [older.split("\n"), newer.split("\n")];
  const only = (mark: Line["mark"], texts: string[]): Line[] => texts.map((text) => ({ mark, text }));
  if (old.length > LINES_MAX || now.length > LINES_MAX) return [...only("-", old), ...only("+", now)];
  const shared = sharedAfter(old, now);
  const out: Line[] = [];
  let [o, n] = [0, 0];
  while (o < old.length && n < now.length) {
    const [before, after] = [old[o] ?? "", now[n] ?? ""];
    if (before === after) {
      out.push({ mark: " ", text: after });
      o += 1;
      n += 1;
    } else if (at(shared, o + 1, n) >= at(shared, o, n + 1)) {
      out.push({ mark: "-", text: before });
      o += 1;
    } else {
      out.push({ mark: "+", text: after });
      n += 1;
    }
  }
  return [...out, ...only("-", old.slice(o)), ...only("+", now.slice(n))];
}

/** For each pair of places, how many lines the rests behind them share at most. */
function sharedAfter(old: string[], now: string[]): number[][] {
  const table = Array.from({ length: old.length + 1 }, () => new Array<number>(now.length + 1).fill(0));
  for (let o = old.length - 1; o >= 0; o -= 1) {
    const row = table[o] ?? [];
    for (let n = now.length - 1; n >= 0; n -= 1) {
      row[n] = old[o] === now[n] ? at(table, o + 1, n + 1) + 1 : Math.max(at(table, o + 1, n), at(table, o, n + 1));
    }
  }
  return table;
}

const at = (table: number[][], o: number, n: number): number => table[o]?.[n] ?? 0;
