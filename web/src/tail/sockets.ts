// The live tail of all screens over as few WebSockets as possible: everybody who wants rows of the same device and
// filter shares one, which carries the union of their streams.
import { withParams } from "../api/client";
import type { TailFrame } from "../api/types";
import { backoffMs } from "./backoff";

export interface Wish {
  streams: readonly string[];
  device?: string;
  /** A SQL condition, evaluated by the hub. */
  filter?: string;
  onFrame: (frame: TailFrame) => void;
  /** Rows may be missing: the connection was lost and is back. */
  onGap?: () => void;
}
export type TailState = "idle" | "connecting" | "live" | "lost";
export type SocketLike = Pick<WebSocket, "close" | "onopen" | "onmessage" | "onclose">;

/** How long a socket outlives its last reader, so that moving between screens does not reconnect. */
const LINGER_MS = 1500;

class Line {
  readonly wishes = new Set<Wish>();
  private socket: SocketLike | null = null;
  private streams = new Set<string>();
  private attempt = 0;
  private wasLive = false;
  private timer: ReturnType<typeof setTimeout> | undefined;
  state: TailState = "idle";

  constructor(
    private readonly device: string | undefined,
    private readonly filter: string | undefined,
    private readonly open: (path: string) => SocketLike,
    private readonly changed: () => void,
    private readonly ended: () => void,
  ) {}

  /** Wishes came or went: widens the socket when a stream is missing, lets it go when nobody is left. */
  settle(): void {
    clearTimeout(this.timer);
    if (this.wishes.size === 0) {
      this.timer = setTimeout(() => this.end(), LINGER_MS);
      return;
    }
    const wanted = new Set([...this.wishes].flatMap((wish) => wish.streams));
    const isCovered = this.streams.has("*") || [...wanted].every((stream) => this.streams.has(stream));
    if (this.socket !== null && isCovered) return;
    // Several components mount in one turn; they shall cause one connection.
    this.timer = setTimeout(() => this.connect(wanted), 0);
  }

  retryNow(): void {
    if (this.state === "lost") {
      this.attempt = 0;
      this.connect(this.streams);
    }
  }

  private connect(streams: Set<string>): void {
    clearTimeout(this.timer);
    this.hangUp();
    this.streams = streams;
    this.to(this.state === "lost" ? "lost" : "connecting");
    const path = withParams("/api/v1/tail", { stream: [...streams].join(","), device: this.device, filter: this.filter });
    const socket = this.open(path);
    this.socket = socket;
    socket.onopen = () => {
      this.attempt = 0;
      this.to("live");
      if (this.wasLive) for (const wish of this.wishes) wish.onGap?.();
      this.wasLive = true;
    };
    socket.onmessage = (event: MessageEvent) => this.deliver(event.data);
    socket.onclose = () => {
      if (this.socket !== socket) return;
      this.socket = null;
      this.to("lost");
      this.timer = setTimeout(() => this.connect(this.streams), backoffMs(this.attempt++));
    };
  }

  private deliver(data: unknown): void {
    if (typeof data !== "string") return;
    const frame = JSON.parse(data) as Partial<TailFrame>;
    if (typeof frame.stream !== "string" || !Array.isArray(frame.rows)) return;
    const whole: TailFrame = { stream: frame.stream, rows: frame.rows, dropped: frame.dropped ?? 0 };
    for (const wish of this.wishes) if (names(wish, whole.stream)) wish.onFrame(whole);
  }

  private hangUp(): void {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }

  private end(): void {
    this.hangUp();
    this.to("idle");
    this.ended();
  }

  private to(state: TailState): void {
    if (state === this.state) return;
    this.state = state;
    this.changed();
  }
}

/** `*` is every stream, also those that do not exist yet. */
function names(wish: Wish, stream: string): boolean {
  return wish.streams.includes(stream) || wish.streams.includes("*");
}

export class TailSockets {
  private readonly lines = new Map<string, Line>();
  private readonly listeners = new Set<() => void>();

  constructor(private readonly open: (path: string) => SocketLike) {}

  subscribe(wish: Wish): () => void {
    const key = JSON.stringify([wish.device ?? "", wish.filter ?? ""]);
    const line = this.lines.get(key) ?? this.newLine(key, wish);
    line.wishes.add(wish);
    line.settle();
    return () => {
      line.wishes.delete(wish);
      line.settle();
    };
  }

  private newLine(key: string, wish: Wish): Line {
    const line = new Line(wish.device, wish.filter, this.open, () => this.tell(), () => this.lines.delete(key));
    this.lines.set(key, line);
    return line;
  }

  /** The worst of all connections: one that is lost is what a person must know. */
  state(): TailState {
    const states = [...this.lines.values()].map((line) => line.state);
    const worst: TailState[] = ["lost", "connecting", "live"];
    return worst.find((state) => states.includes(state)) ?? "idle";
  }

  /** Tries lost connections at once, because the person came back or asked for it. */
  retryNow(): void {
    for (const line of this.lines.values()) line.retryNow();
  }

  onState(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private tell(): void {
    for (const listener of this.listeners) listener();
  }
}
