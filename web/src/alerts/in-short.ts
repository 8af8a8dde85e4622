import type { AlertEvent } from "../api/types";
import { compactRow, payloadOf } from "../live/decode";
import { momentIn } from "../format/time";

const SHOWN = 2;

/** The first values of the row that fired, without its key and its times: `peak 2 314`. */
export function inShort({ key, row }: Pick<AlertEvent, "key" | "row">): string {
  const values = Object.entries(payloadOf(row)).filter(([, value]) => momentIn(value) === null && value !== key);
  return compactRow(Object.fromEntries(values.slice(0, SHOWN)));
}
