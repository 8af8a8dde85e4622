// What the editor knows of the person's own streams, in the form in which CodeMirror's SQL mode completes names.
import type { SQLNamespace } from "@codemirror/lang-sql";
import type { Completion } from "@codemirror/autocomplete";
import type { Stream } from "../api/types";
import { ident } from "./quote";

const PLAIN = /^[a-z_][a-z0-9_]*$/;

/** Streams as tables, their columns with type and unit, and the tables that the hub itself keeps. */
export function namespace(streams: readonly Stream[]): SQLNamespace {
  const tables: Record<string, SQLNamespace> = {
    devices: HUB_TABLES.devices.map((name) => column(name, "")),
    twin: HUB_TABLES.twin.map((name) => column(name, "")),
  };
  for (const stream of streams) {
    tables[escaped(stream.name)] = {
      self: { label: stream.name, apply: PLAIN.test(stream.name) ? stream.name : ident(stream.name), type: "type", detail: "stream" },
      children: stream.columns.map(({ name, type, unit }) => column(name, unit ? `${type}, ${unit}` : type)),
    };
  }
  return tables;
}

const HUB_TABLES = {
  devices: ["device", "site", "state", "last_seen"],
  twin: ["device", "stream", "property", "value", "number", "ts"],
};

function column(name: string, detail: string): Completion {
  return { label: name, apply: PLAIN.test(name) ? name : ident(name), type: "property", detail };
}

/** CodeMirror reads a dot as a step down; a stream like `hourly.late` is one table. */
function escaped(name: string): string {
  return name.replaceAll(".", "\\.");
}

export const SNIPPETS: Completion[] = [
  {
    label: "TUMBLE",
    type: "function",
    detail: "window by event time",
    apply: "TUMBLE(stream, ts, INTERVAL '1' MINUTE)",
  },
  {
    label: "HOP",
    type: "function",
    detail: "windows that overlap: slide, size",
    apply: "HOP(stream, ts, INTERVAL '10' SECOND, INTERVAL '1' MINUTE)",
  },
  {
    label: "SESSION",
    type: "function",
    detail: "rows without a gap, by key",
    apply: "SESSION(stream, ts, INTERVAL '5' MINUTE, device)",
  },
  {
    label: "COUNT_WINDOW",
    type: "function",
    detail: "every so many rows, by key",
    apply: "COUNT_WINDOW(stream, ts, 100, device)",
  },
  { label: "CREATE PIPELINE", type: "keyword", detail: "rows into a stream", apply: "CREATE PIPELINE name INTO stream AS\nSELECT " },
  { label: "CREATE ALERT", type: "keyword", detail: "rows that matter", apply: "CREATE ALERT name SEVERITY warning AS\nSELECT " },
  { label: "CREATE FUNCTION", type: "keyword", detail: "an expression with a name", apply: "CREATE FUNCTION name(x DOUBLE) RETURNS DOUBLE\n  RETURN x" },
  { label: "RESOLVE WHEN", type: "keyword", detail: "an alert is over", apply: "RESOLVE WHEN " },
  { label: "RESOLVE AFTER", type: "keyword", detail: "an alert is over when nothing fires", apply: "RESOLVE AFTER INTERVAL '10' MINUTE" },
  { label: "date_bin", type: "function", detail: "bucket of time", apply: "date_bin(INTERVAL '1 minute', ts)" },
];
