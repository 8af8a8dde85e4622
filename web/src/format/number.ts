// Numbers for people: few digits, thin grouping, a real minus sign, the same width for every digit.

const GROUP = "\u202f";

/** Up to four significant digits below 1,000 and none behind the point above. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e15)) return value.toExponential(2).replace("-", "−");
  const digits = size >= 1000 ? (Number.isInteger(value) ? 0 : 1) : size >= 100 ? 1 : size >= 10 ? 2 : 3;
  return grouped(trimZeros(value.toFixed(Number.isInteger(value) ? 0 : digits)));
}

/** Always `digits` behind the point, so that a figure that changes does not jump. */
export function fixed(value: number, digits: number): string {
  if (!Number.isFinite(value)) return "–";
  const text = value.toFixed(digits);
  return grouped(Number(text) === 0 ? text.replace("-", "") : text);
}

function trimZeros(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function grouped(text: string): string {
  const [whole = "", fraction] = text.replace("-", "").split(".");
  const spaced = whole.length > 3 ? whole.replace(/\B(?=(\d{3})+$)/g, GROUP) : whole;
  return (text.startsWith("-") ? "−" : "") + spaced + (fraction === undefined ? "" : `.${fraction}`);
}

/** 1 234 stays, 1.2 M and 3.4 G above a million. */
export function count(value: number): string {
  if (value < 1e6) return grouped(String(Math.round(value)));
  const [scaled, suffix] = value < 1e9 ? [value / 1e6, "M"] : [value / 1e9, "G"];
  return `${trimZeros(scaled.toFixed(scaled < 10 ? 2 : 1))}${GROUP}${suffix}`;
}

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${trimZeros(scaled.toFixed(unit === 0 || scaled >= 100 ? 0 : 1))} ${units[unit] ?? "B"}`;
}

/** `1 reading`, `2 readings`. */
export function plural(amount: number, one: string, many = `${one}s`): string {
  return `${count(amount)} ${amount === 1 ? one : many}`;
}

/** Any cell of a result: numbers by `number`, nested values as JSON, nothing as an empty dash. */
export function cell(value: unknown): string {
  if (value === null || value === undefined) return "–";
  if (typeof value === "number") return number(value);
  if (typeof value === "object") return JSON.stringify(value);
  return String(value);
}
