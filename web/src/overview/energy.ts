// Which streams say how much power comes and goes. Nobody is asked: names and units tell.
import type { Column, Stream } from "../api/types";

export type Role = "solar" | "grid" | "home";
export interface Source {
  role: Role;
  stream: string;
  column: string;
  /** Factor to kilowatts. */
  toKw: number;
  /** Seconds between two readings of a device. */
  intervalMs: number;
  devices: number;
  /** When its stream came to be, epoch milliseconds. */
  bornAt: number;
}

const POWER = /(^|_)(power|watts?)(_|$)|_k?w$/i;
const ROLE: [Role, RegExp][] = [
  ["solar", /solar|(^|_)pv(_|$)|photovolt|inverter/i],
  ["home", /(^|_)(home|house|load|consumption)(_|$)/i],
  ["grid", /meter|grid|mains|utility/i],
];
/** Of two numeric power columns the one that says more plainly that it is active power now. */
const PLAIN = /^(active_)?power(_k?w)?$/i;

export function energySources(streams: readonly Stream[]): Source[] {
  const found = new Map<Role, Source>();
  // A stream that is only declared says nothing yet.
  const raw = streams.filter((stream) => stream.origin !== "derived" && stream.rows > 0);
  for (const stream of raw) {
    const columns = stream.columns.filter((column) => isPower(column));
    columns.sort((a, b) => Number(PLAIN.test(b.name)) - Number(PLAIN.test(a.name)));
    for (const column of columns) {
      const role = ROLE.find(([, pattern]) => pattern.test(column.name))?.[0] ?? ROLE.find(([, pattern]) => pattern.test(stream.name))?.[0];
      if (role !== undefined && !found.has(role)) found.set(role, source(role, stream, column));
    }
  }
  return [...found.values()];
}

function isPower(column: Column): boolean {
  if (column.system || !/int|float|double/i.test(column.type)) return false;
  return column.unit ? /^k?w$/i.test(column.unit) : POWER.test(column.name);
}

function source(role: Role, stream: Stream, column: Column): Source {
  const isKilo = column.unit ? /^kw$/i.test(column.unit) : /_kw$/i.test(column.name);
  const perDevice = stream.rows_per_minute / Math.max(1, stream.devices);
  return {
    role,
    stream: stream.name,
    column: column.name,
    toKw: isKilo ? 1 : 0.001,
    intervalMs: perDevice > 0 ? 60_000 / perDevice : 60_000,
    devices: stream.devices,
    bornAt: Date.parse(stream.created_at),
  };
}
