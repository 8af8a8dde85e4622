// The last queries of this browser. They stay in it: a query can name people.
const KEY = "springhouse.queries";
const KEPT = 30;

export interface Asked {
  query: string;
  at: string;
}
type Store = Pick<Storage, "getItem" | "setItem">;
const listeners = new Set<() => void>();
let cached: { text: string | null; asked: Asked[] } = { text: null, asked: [] };

function storage(): Store | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

/** Newest first. The same array until something is remembered, as `useSyncExternalStore` needs it. */
export function asked(store: Store | null = storage()): Asked[] {
  const text = store?.getItem(KEY) ?? null;
  if (text !== cached.text) cached = { text, asked: parsed(text) };
  return cached.asked;
}

function parsed(text: string | null): Asked[] {
  try {
    const value: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(value) ? value.filter((one): one is Asked => typeof (one as Asked | null)?.query === "string") : [];
  } catch {
    return [];
  }
}

/** Puts a query on top; asked again it moves up instead of standing there twice. */
export function remember(query: string, store: Store | null = storage(), at = new Date()): void {
  const rest = asked(store).filter((one) => one.query !== query);
  write(store, [{ query, at: at.toISOString() }, ...rest].slice(0, KEPT));
}

export function forgetAll(store: Store | null = storage()): void {
  write(store, []);
}

function write(store: Store | null, entries: Asked[]): void {
  try {
    store?.setItem(KEY, JSON.stringify(entries));
  } catch {
    // A full or forbidden storage costs the history, nothing else.
  }
  for (const listener of listeners) listener();
}

export function onHistory(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
