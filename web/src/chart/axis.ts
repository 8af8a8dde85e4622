import { fixed, number } from "../format/number";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const pad = (value: number): string => String(value).padStart(2, "0");

/** A tick of a time axis whose ticks are `everySeconds` apart. */
export function tickText(seconds: number, everySeconds: number): string {
  const at = new Date(seconds * 1000);
  if (everySeconds >= 86_400) return `${at.getDate()} ${MONTHS[at.getMonth()] ?? ""}`;
  const minutes = `${pad(at.getHours())}:${pad(at.getMinutes())}`;
  return everySeconds >= 60 ? minutes : `${minutes}:${pad(at.getSeconds())}`;
}

/** More digits than this say nothing that a person could read off a chart. */
const DIGITS_MAX = 6;

/** Values of an axis with as many digits as their distance needs, so that no two ticks read the same. */
export function tickNumbers(ticks: readonly number[]): string[] {
  const step = Math.abs((ticks[1] ?? 0) - (ticks[0] ?? 0));
  if (ticks.length < 2 || step < 10 ** -DIGITS_MAX) return ticks.map(number);
  let digits = 0;
  while (digits < DIGITS_MAX && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6 * 10 ** digits) digits += 1;
  return ticks.map((tick) => fixed(tick, digits));
}
