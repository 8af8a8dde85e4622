import type { Row } from "../api/types";
import { cell } from "../format/number";
import { momentIn } from "../format/time";

const PLATFORM = new Set(["ts", "device", "site"]);

/** The properties of a row: what the device said, without the columns that every stream has. */
export function payloadOf(row: Row): Row {
  return Object.fromEntries(
    Object.entries(row).filter(([name, value]) => !PLATFORM.has(name) && !name.startsWith("_") && value !== null),
  );
}

/** The properties as one line: `power 812.4 · voltage 231.2`. */
export function compactRow(row: Row): string {
  return Object.entries(payloadOf(row))
    .map(([name, value]) => `${name} ${momentIn(value) ?? cell(value)}`)
    .join(" · ");
}

/** The same with every digit that came, and times as they were written. */
export function exactRow(row: Row): string {
  return Object.entries(payloadOf(row))
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" · ");
}

/** The properties as the JSON that the device could have sent. */
export function rawRow(row: Row): string {
  return JSON.stringify(payloadOf(row));
}
