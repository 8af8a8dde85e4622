// What the hub answers under /api/v1. Times are RFC 3339 text unless a name ends in `_ms`.

export interface Problem {
  type?: string;
  title: string;
  status: number;
  code?: string;
  detail?: string;
  hint?: string;
  request_id?: string;
}

export interface Me {
  signed_in: boolean;
  setup_needed: boolean;
  name: string | null;
  scopes: Scope[];
  tenant: string | null;
}
export type Scope = "admin" | "write" | "read" | "ingest";

export interface Overview {
  devices: number;
  devices_online: number;
  readings_per_minute: number;
  ingest_to_page_ms_p99: number | null;
  streams: number;
  pipelines_running: number;
  alerts_open: number;
  alerts_firing: number;
  quarantined: number;
  outbound_connections: number;
  started_at: string;
  version: string;
  energy: { solar_kw: number | null; home_kw: number | null; grid_kw: number | null } | null;
  rooms: Room[];
  activity: Activity[];
}
export interface Room {
  site: string | null;
  device: string;
  temperature: number | null;
  humidity: number | null;
}
export interface Activity {
  at: string;
  device: string | null;
  text: string;
  severity: Severity | null;
}
export type Severity = "info" | "warning" | "critical";

export type Approval = "pending" | "approved" | "refused";

export interface Column {
  name: string;
  type: string;
  unit?: string | null;
  system?: boolean;
  description?: string | null;
  required?: boolean;
}
export interface Stream {
  name: string;
  state: Approval;
  origin: "inferred" | "declared" | "derived";
  /** Which pipeline writes it. */
  pipeline: string | null;
  schema_version: number;
  columns: Column[];
  rows: number;
  rows_per_minute: number;
  devices: number;
  last_at: string | null;
  bytes: number;
  watermark_seconds: number;
  sql: string | null;
  created_at: string;
}
export interface SchemaVersion {
  version: number;
  /** Properties that are not listed are allowed, and the schema grows by them. */
  additional: boolean;
  columns: Column[];
  json_schema: Record<string, unknown>;
}
export interface Schemas {
  stream: string;
  version: number;
  json_schema: Record<string, unknown>;
  /** Oldest first. */
  versions: SchemaVersion[];
}

/** Data beside the streams, which statements look up by its key. */
export interface ReferenceTable {
  name: string;
  sql: string;
  columns: Column[];
  key: string[];
  valid_from: string | null;
  source: "file" | "query" | "given";
  place: string | null;
  refresh_seconds: number | null;
  /** Of the rows that hold at present; null before the first. */
  version: number | null;
  rows: number;
  bytes: number;
  changed_at: string | null;
  /** Why the last attempt to read rows has failed; those before it hold. */
  error: string | null;
}

/** An expression with a name, which statements call. */
export interface SqlFunction {
  name: string;
  version: number;
  sql: string;
  language: "sql" | "wasm";
  /** The SHA-256 of the component that it is made of. */
  component: string | null;
  /** How it is called; null when it cannot be. */
  signature: string | null;
  called_by: string[];
  used_by: { pipeline: string; version: number; is_present: boolean }[];
  changed_at: string;
  /** Why it cannot be called. */
  error: string | null;
}
/** A function by whose definition a pipeline goes. */
export interface UsedFunction {
  name: string;
  version: number;
  /** The version that the function has, when that is another definition. */
  newer: number | null;
}

export interface Device {
  id: string;
  site: string | null;
  state: Approval;
  streams: string[];
  last_seen: string | null;
  online: boolean;
  created_at: string;
}
export type Value = string | number | boolean | null;
export interface Latest {
  stream: string;
  property: string;
  value: Value;
  unit: string | null;
  ts: string;
}
export interface DeviceDetail extends Device {
  latest: Latest[];
  /** Ids of the tokens that are its own. */
  tokens: string[];
}
export interface Certificate {
  serial: string;
  not_before: string;
  not_after: string;
  issued_at: string;
  revoked_at: string | null;
}
export interface NewDevice {
  device: Device;
  token: string;
}
/** Buckets of a numeric property; a bucket without a reading has nulls. */
export interface Series {
  ts: number[];
  min: (number | null)[];
  avg: (number | null)[];
  max: (number | null)[];
}

export type Row = Record<string, unknown>;
export interface Table {
  columns: Column[];
  rows: unknown[][];
}
export interface QueryResult extends Table {
  row_count: number;
  truncated: boolean;
  took_ms: number;
}
export interface StatementResult {
  statement: string;
  message: string;
}
export interface Preview extends Table {
  scanned: number;
  late: number;
  broken: number;
  why_broken?: string;
  took_ms: number;
  steps?: Step[];
}
/** A step of a pipeline, how many rows it has handed on, and the last of them. */
export interface Step extends Table {
  step: string;
  detail: string;
  handed_on: number;
}
export interface Tapped {
  seconds: number;
  steps: Step[];
}
export interface TailFrame {
  stream: string;
  rows: Row[];
  dropped: number;
}

export interface QuarantinedMessage {
  id: string;
  stream: string | null;
  device: string | null;
  received: string;
  reason: string;
  detail: string;
  payload: string;
  payload_encoding: "text" | "base64";
  topic: string;
}
export interface Quarantine {
  items: QuarantinedMessage[];
  counts: { stream: string | null; reason: string; count: number }[];
}
export interface Replay {
  replayed: number;
  still_failing: number;
}

export interface Pipeline extends PipelineStatus {
  name: string;
  kind: "pipeline" | "alert";
  severity: Severity | null;
  into: string;
  sql: string;
  version: number;
  /** By which definitions of functions it goes. */
  functions: UsedFunction[];
  created_at: string;
}
export interface PipelineStatus {
  state: "running" | "paused" | "failed";
  error: string | null;
  rows_in: number;
  rows_out: number;
  late: number;
  /** Rows that an expression has no value for; they are in quarantine. */
  broken: number;
  /** Rows a second over the last seconds. */
  rate_in: number;
  lag_records: number;
  lag_ms: number;
  watermark: string | null;
  state_bytes: number;
  busy_seconds: number;
}

export interface PipelineVersion {
  version: number;
  sql: string;
  created_at: string;
  /** The person or the token, if known. */
  by: string | null;
}
export interface PipelineChange {
  change: "create" | "replace" | "unchanged";
  /** Operators by what becomes of their state. */
  keeps: string[];
  reads_again: string[];
  begins_empty: string[];
  gives_up: string[];
  message: string;
}

export interface AlertRule {
  name: string;
  severity: Severity;
  sql: string;
  state: PipelineStatus["state"];
  fired: number;
  open: number;
  firing: number;
  last_at: string | null;
}
export interface AlertEvent {
  id: string;
  alert: string;
  severity: Severity;
  key: string;
  at: string;
  row: Row;
  /** Null while it is firing, and for rules without RESOLVE. */
  resolved_at: string | null;
  /** Null for rules without RESOLVE. */
  times: number | null;
  firing: boolean;
  /** Why it is over when no row has ended it. */
  note: string | null;
  acknowledged_at: string | null;
  by: string | null;
}
export interface Alerts {
  rules: AlertRule[];
  events: AlertEvent[];
}

export interface Token {
  id: string;
  name: string;
  scopes: Scope[];
  site?: string | null;
  device?: string | null;
  created_at: string;
  expires_at: string | null;
}
export interface Connect {
  mqtt: { host: string; port: number | null; tls_port: number | null; websocket_url?: string };
  http: { url: string; tls_port: number | null };
  topic_template: string;
  ca_available: boolean;
}
