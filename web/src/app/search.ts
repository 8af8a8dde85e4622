// What each screen keeps in the URL. Reading is forgiving: a link that somebody typed must open, not fail.

type Raw = Record<string, unknown>;
const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : typeof value === "number" ? String(value) : undefined;
const oneOf = <const T extends string>(value: unknown, allowed: readonly T[]): T | undefined => allowed.find((one) => one === value);

interface DevicesSearch {
  q?: string;
  state?: "pending" | "approved" | "refused";
}
export const devices = (raw: Raw): DevicesSearch => ({
  q: text(raw.q),
  state: oneOf(raw.state, ["pending", "approved", "refused"]),
});

interface LiveSearch {
  stream?: string;
  device?: string;
  filter?: string;
}
export const live = (raw: Raw): LiveSearch => ({ stream: text(raw.stream), device: text(raw.device), filter: text(raw.filter) });

interface ExploreSearch {
  q?: string;
  view?: "table" | "chart";
}
export const explore = (raw: Raw): ExploreSearch => ({ q: text(raw.q), view: oneOf(raw.view, ["table", "chart"]) });

interface DraftSearch {
  q?: string;
  kind?: "pipeline" | "alert";
}
export const draft = (raw: Raw): DraftSearch => ({ q: text(raw.q), kind: oneOf(raw.kind, ["pipeline", "alert"]) });

interface AlertsSearch {
  tab?: "events" | "rules";
  event?: string;
}
export const alerts = (raw: Raw): AlertsSearch => ({ tab: oneOf(raw.tab, ["events", "rules"]), event: text(raw.event) });

interface QuarantineSearch {
  stream?: string;
  reason?: string;
  device?: string;
  /** The message that is open. */
  id?: string;
}
export const quarantine = (raw: Raw): QuarantineSearch => ({
  stream: text(raw.stream),
  reason: text(raw.reason),
  device: text(raw.device),
  id: text(raw.id),
});

interface SignInSearch {
  next?: string;
  /** `used` when a one-time link was opened again. */
  link?: string;
}
/** `next` is only ever a path of this page: a link must not lead away after the sign-in. */
export const signIn = (raw: Raw): SignInSearch => {
  const next = text(raw.next);
  return { next: next !== undefined && /^\/(?![/\\])/.test(next) ? next : undefined, link: text(raw.link) };
};
export const setup = (raw: Raw): { link?: string } => ({ link: text(raw.link) });
