import type { Row, TailFrame } from "../api/types";

export interface LiveRow {
  /** Counts up over the life of the buffer; the key of a row in lists. */
  id: number;
  stream: string;
  row: Row;
}

/** The newest `capacity` rows of a tail. Older ones fall out; the rest of the page never holds more than this. */
export class RowBuffer {
  private rows: LiveRow[] = [];
  private next = 0;
  /** Rows that the hub left out because this page read too slowly. */
  dropped = 0;
  received = 0;

  constructor(readonly capacity: number) {}

  push(frame: TailFrame): void {
    this.dropped += frame.dropped;
    this.received += frame.rows.length;
    for (const row of frame.rows) this.rows.push({ id: this.next++, stream: frame.stream, row });
    if (this.rows.length > this.capacity) this.rows = this.rows.slice(-this.capacity);
  }

  clear(): void {
    this.rows = [];
    this.dropped = 0;
    this.received = 0;
  }

  /** Newest first; a copy, so that a paused view stays as it was. */
  newest(): LiveRow[] {
    return this.rows.toReversed();
  }
}
