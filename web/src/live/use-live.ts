import { useEffect, useRef, useState } from "react";
import { whyNoTail } from "../api/client";
import { RowBuffer, type LiveRow } from "../tail/rows";
import { useTail, useTailState } from "../tail/use-tail";

/** Rows that the page keeps; more than anybody scrolls through, little enough for a phone. */
const KEPT = 5000;
/** Redraws a second are bounded, rows a second are not. */
const REDRAW_MS = 200;

interface Wanted {
  stream?: string;
  device?: string;
  filter?: string;
  isPaused: boolean;
}
export interface LiveState {
  rows: LiveRow[];
  received: number;
  dropped: number;
  perSecond: number;
  /** Rows that came while the view is paused. */
  missed: number;
  /** Why the hub does not open this tail, such as a filter that is no SQL. */
  refusal: unknown;
  clear: () => void;
}
const NOTHING = { rows: [] as LiveRow[], received: 0, dropped: 0, perSecond: 0 };

export function useLive({ stream, device, filter, isPaused }: Wanted): LiveState {
  const buffer = useRef(new RowBuffer(KEPT));
  const [shown, setShown] = useState(NOTHING);
  const [received, setReceived] = useState(0);
  const tick = useRef({ at: Date.now(), received: 0, perSecond: 0 });
  const key = [stream, device, filter].join("\n");
  const clear = (): void => {
    buffer.current.clear();
    tick.current = { at: Date.now(), received: 0, perSecond: 0 };
    setShown(NOTHING);
    setReceived(0);
  };
  useEffect(clear, [key]);
  useTail({ streams: [stream ?? "*"], device, filter, onFrame: (frame) => buffer.current.push(frame) });

  useEffect(() => {
    const timer = setInterval(() => {
      const { received: total, dropped } = buffer.current;
      const last = tick.current;
      const now = Date.now();
      if (now - last.at >= 1000) {
        tick.current = { at: now, received: total, perSecond: ((total - last.received) * 1000) / (now - last.at) };
      }
      setReceived(total);
      if (!isPaused) {
        setShown((before) => {
          const { perSecond } = tick.current;
          const isSame = before.received === total && before.perSecond === perSecond;
          return isSame ? before : { rows: buffer.current.newest(), received: total, dropped, perSecond };
        });
      }
    }, REDRAW_MS);
    return () => clearInterval(timer);
  }, [isPaused]);

  return { ...shown, missed: received - shown.received, refusal: useRefusal(stream, device, filter), clear };
}

/** A browser does not tell why a WebSocket was refused; asked by plain HTTP, the hub does. */
function useRefusal(stream: string | undefined, device: string | undefined, filter: string | undefined): unknown {
  const isLost = useTailState() === "lost";
  const [refusal, setRefusal] = useState<unknown>(null);
  useEffect(() => {
    setRefusal(null);
    if (!isLost || filter === undefined) return;
    let isWanted = true;
    void whyNoTail({ stream: stream ?? "*", device, filter }).then((problem) => isWanted && setRefusal(problem));
    return () => {
      isWanted = false;
    };
  }, [isLost, stream, device, filter]);
  return refusal;
}
