// Times as people read them, in the browser's zone, 24 hours, never in the order of one country alone.

const pad = (value: number, width = 2): string => String(value).padStart(width, "0");

export function clock(at: Date, millis = false): string {
  const text = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  return millis ? `${text}.${pad(at.getMilliseconds(), 3)}` : text;
}

export function day(at: Date): string {
  return `${at.getFullYear()}-${pad(at.getMonth() + 1)}-${pad(at.getDate())}`;
}

/** The clock alone when it is from the day of `now`, otherwise with the date. */
export function moment(text: string | null | undefined, now = new Date()): string {
  const at = parse(text);
  if (at === null) return "–";
  return day(at) === day(now) ? clock(at) : `${day(at)} ${clock(at)}`;
}

const ZONED = /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?([zZ]|[+-]\d\d:?\d\d)$/;

/** A time among values is text, as in all JSON; nothing for other text. */
export function momentIn(value: unknown): string | null {
  return typeof value === "string" && ZONED.test(value) ? moment(value) : null;
}

/** `just now`, `12 s ago`, `3 min ago`, `5 h ago`, then the date. */
export function ago(text: string | null | undefined, now = Date.now()): string {
  const at = parse(text);
  if (at === null) return "never";
  const seconds = Math.round((now - at.getTime()) / 1000);
  if (seconds < 2) return "just now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  if (seconds < 7 * 86_400) return `${Math.floor(seconds / 86_400)} d ago`;
  return day(at);
}

/** A length of time with its two greatest units: `340 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(millis: number): string {
  if (millis < 1) return "0 ms";
  if (millis < 1000) return `${Math.round(millis)} ms`;
  const seconds = millis / 1000;
  if (seconds < 10) return `${Number(seconds.toFixed(1))} s`;
  const parts: [number, string][] = [[86_400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  let rest = Math.round(seconds);
  return parts
    .slice(first, first + 2)
    .map(([size, unit]) => {
      const amount = Math.floor(rest / size);
      rest -= amount * size;
      return amount === 0 ? "" : `${amount} ${unit}`;
    })
    .filter(Boolean)
    .join(" ");
}

/** Reads RFC 3339 (also without a zone, which SQL results have: UTC then) or nothing. */
export function parse(text: string | null | undefined): Date | null {
  if (!text) return null;
  const zoned = /[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`;
  const at = new Date(zoned.replace(" ", "T"));
  return Number.isNaN(at.getTime()) ? null : at;
}
