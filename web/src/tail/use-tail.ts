import { useEffect, useRef, useSyncExternalStore } from "react";
import type { TailFrame } from "../api/types";
import { TailSockets, type TailState } from "./sockets";

const sockets = new TailSockets((path) => {
  const url = new URL(path, window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return new WebSocket(url);
});
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") sockets.retryNow();
});

export interface Tail {
  streams: readonly string[];
  device?: string;
  filter?: string;
  onFrame: (frame: TailFrame) => void;
  onGap?: () => void;
}

/** Rows of these streams while the component is on the page; no streams, no connection. */
export function useTail(tail: Tail): void {
  const latest = useRef(tail);
  useEffect(() => {
    latest.current = tail;
  });
  const key = tail.streams.toSorted().join(",");
  const { device, filter } = tail;
  useEffect(() => {
    if (key === "") return;
    return sockets.subscribe({
      streams: key.split(","),
      device,
      filter,
      onFrame: (frame) => latest.current.onFrame(frame),
      onGap: () => latest.current.onGap?.(),
    });
  }, [key, device, filter]);
}

export function useTailState(): TailState {
  return useSyncExternalStore(
    (listener) => sockets.onState(listener),
    () => sockets.state(),
  );
}
