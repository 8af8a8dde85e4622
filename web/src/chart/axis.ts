const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const pad = (value: number): string => String(value).padStart(2, "0");

/** A tick of a time axis whose ticks are `everySeconds` apart. */
export function tickText(seconds: number, everySeconds: number): string {
  const at = new Date(seconds * 1000);
  if (everySeconds >= 86_400) return `${at.getDate()} ${MONTHS[at.getMonth()] ?? ""}`;
  const minutes = `${pad(at.getHours())}:${pad(at.getMinutes())}`;
  return everySeconds >= 60 ? minutes : `${minutes}:${pad(at.getSeconds())}`;
}
