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

/** More digits than this a number does not hold. */
const DIGITS_MAX = 12;

/** Values of an axis with as many digits as their distance needs, so that no two ticks read the same. */
export function tickNumbers(ticks: readonly number[]): string[] {
  const step = Math.abs((ticks[1] ?? 0) - (ticks[0] ?? 0));
  if (ticks.length < 2 || step < 10 ** -DIGITS_MAX) return ticks.map(number);
  const digits = Array.from({ length: DIGITS_MAX }, (_, index) => index).find((count) => isWhole(step * 10 ** count)) ?? DIGITS_MAX;
  return ticks.map((tick) => fixed(tick, digits));
}

/** But for what the subtraction of two ticks leaves. */
function isWhole(value: number): boolean {
  return value > 0.5 && Math.abs(value - Math.round(value)) < 1e-3;
}

/** The axis spans at least this many units of the last digit that a figure of this size is written with. */
const UNITS_MIN = 10;

/** Some air above and below; a constant is drawn in the middle instead of on the edge. */
export function yRange(low: number | null, high: number | null): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const size = Math.max(Math.abs(low), Math.abs(high));
  // Four digits, and one behind the point of what is large, as `number` writes it.
  const unit = Math.min(0.1, 10 ** (Math.floor(Math.log10(size)) - 3));
  // A mean of equal values differs in its last bits.
  if (high - low <= size * 1e-9) return [low - Math.max(1, Math.abs(low) * 0.1), high + Math.max(1, Math.abs(high) * 0.1)];
  const air = Math.max((high - low) * 0.08, (UNITS_MIN * unit - (high - low)) / 2);
  return [low >= 0 && low - air < 0 ? 0 : low - air, high + air];
}
