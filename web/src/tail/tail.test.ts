import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { backoffMs } from "./backoff";
import { RowBuffer } from "./rows";
import { TailSockets, type SocketLike } from "./sockets";

class FakeSocket implements SocketLike {
  onopen: WebSocket["onopen"] = null;
  onmessage: WebSocket["onmessage"] = null;
  onclose: WebSocket["onclose"] = null;
  closed = false;
  constructor(readonly path: string) {}
  close(): void {
    this.closed = true;
  }
  opens(): void {
    this.onopen?.call(null as unknown as WebSocket, {} as Event);
  }
  says(frame: unknown): void {
    this.onmessage?.call(null as unknown as WebSocket, { data: JSON.stringify(frame) } as MessageEvent);
  }
  breaks(): void {
    this.onclose?.call(null as unknown as WebSocket, {} as CloseEvent);
  }
}

function rig() {
  const opened: FakeSocket[] = [];
  const sockets = new TailSockets((path) => {
    const socket = new FakeSocket(path);
    opened.push(socket);
    return socket;
  });
  return { opened, sockets, last: () => opened[opened.length - 1] as FakeSocket };
}

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe("the shared tail", () => {
  test("readers of two streams share one socket and get only their own rows", () => {
    const { opened, sockets, last } = rig();
    const meter = vi.fn();
    const door = vi.fn();
    sockets.subscribe({ streams: ["meter"], onFrame: meter });
    sockets.subscribe({ streams: ["door"], onFrame: door });
    vi.advanceTimersByTime(0);
    expect(opened.map((socket) => socket.path)).toEqual(["/api/v1/tail?stream=meter%2Cdoor"]);
    last().opens();
    last().says({ stream: "meter", rows: [{ power: 1 }], dropped: 0 });
    expect(meter).toHaveBeenCalledOnce();
    expect(door).not.toHaveBeenCalled();
    expect(sockets.state()).toBe("live");
  });

  test("a filter of its own needs a socket of its own", () => {
    const { opened, sockets } = rig();
    sockets.subscribe({ streams: ["meter"], onFrame: vi.fn() });
    sockets.subscribe({ streams: ["meter"], filter: "power > 10", onFrame: vi.fn() });
    vi.advanceTimersByTime(0);
    expect(opened).toHaveLength(2);
  });

  test("a lost connection comes back with back-off and reports the gap", () => {
    const { opened, sockets, last } = rig();
    const onGap = vi.fn();
    sockets.subscribe({ streams: ["meter"], onFrame: vi.fn(), onGap });
    vi.advanceTimersByTime(0);
    last().opens();
    last().breaks();
    expect(sockets.state()).toBe("lost");
    vi.advanceTimersByTime(1000);
    expect(opened).toHaveLength(2);
    last().breaks();
    vi.advanceTimersByTime(700);
    expect(opened).toHaveLength(2);
    vi.advanceTimersByTime(1000);
    last().opens();
    expect(sockets.state()).toBe("live");
    expect(onGap).toHaveBeenCalledOnce();
  });

  test("the socket outlives its reader briefly, then closes", () => {
    const { opened, sockets, last } = rig();
    const leave = sockets.subscribe({ streams: ["meter"], onFrame: vi.fn() });
    vi.advanceTimersByTime(0);
    last().opens();
    leave();
    const leaveAgain = sockets.subscribe({ streams: ["meter"], onFrame: vi.fn() });
    vi.advanceTimersByTime(5000);
    expect(opened).toHaveLength(1);
    leaveAgain();
    vi.advanceTimersByTime(5000);
    expect(last().closed).toBe(true);
    expect(sockets.state()).toBe("idle");
  });

  test("a frame that is not one is ignored", () => {
    const { sockets, last } = rig();
    const onFrame = vi.fn();
    sockets.subscribe({ streams: ["meter"], onFrame });
    vi.advanceTimersByTime(0);
    last().says({ error: "slow down" });
    expect(onFrame).not.toHaveBeenCalled();
  });
});

test("back-off doubles up to ten seconds and is spread", () => {
  expect([0, 1, 2, 9].map((attempt) => backoffMs(attempt, () => 0.5))).toEqual([500, 1000, 2000, 10_000]);
  expect(backoffMs(0, () => 0)).toBeLessThan(backoffMs(0, () => 1));
});

test("the row buffer keeps the newest rows, counts what was dropped and is newest first", () => {
  const buffer = new RowBuffer(3);
  buffer.push({ stream: "s", rows: [{ n: 1 }, { n: 2 }], dropped: 0 });
  buffer.push({ stream: "s", rows: [{ n: 3 }, { n: 4 }], dropped: 7 });
  expect(buffer.newest().map((entry) => entry.row.n)).toEqual([4, 3, 2]);
  expect([buffer.dropped, buffer.received]).toEqual([7, 4]);
});
