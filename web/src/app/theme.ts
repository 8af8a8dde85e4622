import { useSyncExternalStore } from "react";

export type Theme = "dark" | "light";
const KEY = "springhouse.theme";
const listeners = new Set<() => void>();

function current(): Theme {
  return document.documentElement.classList.contains("light") ? "light" : "dark";
}
function show(theme: Theme): void {
  document.documentElement.className = theme;
  for (const listener of listeners) listener();
}
function chosen(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}

/** Remembers what the person chose over what the system prefers. */
export function toggleTheme(): void {
  const next = current() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Without storage the choice holds until the page is closed.
  }
  show(next);
}

matchMedia("(prefers-color-scheme: light)").addEventListener("change", (event) => {
  if (chosen() === null) show(event.matches ? "light" : "dark");
});

export function useTheme(): Theme {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, current);
}
