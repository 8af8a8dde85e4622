// The only place that talks HTTP to the hub: one typed function per route.
import { ApiError, offline, problemOf } from "./problem";
import type * as t from "./types";

let onSignedOut: () => void = () => undefined;
/** Called when an answer says that the session is over. */
export function whenSignedOut(handler: () => void): void {
  onSignedOut = handler;
}

interface Call {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  body?: unknown;
  accept?: string;
  signal?: AbortSignal;
}

async function send(path: string, call: Call = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: call.accept ?? "application/json" };
  const method = call.method ?? "GET";
  // The header that a foreign site cannot send: guards the cookie against forged requests.
  if (method !== "GET") headers["X-Springhouse"] = "1";
  if (call.body !== undefined) headers["Content-Type"] = "application/json";
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body, signal: call.signal, credentials: "same-origin" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw offline();
  }
  if (response.ok) return response;
  if (response.status === 401 && path !== "/sign-in") onSignedOut();
  throw await problemOf(response);
}

async function json<T>(path: string, call?: Call): Promise<T> {
  const response = await send(path, call);
  if (response.status === 204) return undefined as T;
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

type Params = Record<string, string | number | undefined | null>;
export function withParams(path: string, params: Params): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}
const e = encodeURIComponent;
const post = <T>(path: string, body: unknown = {}): Promise<T> => json<T>(path, { method: "POST", body });
const remove = (path: string): Promise<unknown> => json(path, { method: "DELETE" });

export const api = {
  me: () => json<t.Me>("/me"),
  setup: (body: { link: string; name: string; password: string }) => post<unknown>("/setup", body),
  signIn: (body: { name: string; password: string }) => post<unknown>("/sign-in", body),
  signOut: () => post<unknown>("/sign-out"),
  overview: () => json<t.Overview>("/overview"),
  connect: () => json<t.Connect>("/connect"),

  streams: () => json<t.Stream[]>("/streams"),
  createStream: (body: { name: string; json_schema?: unknown; watermark_seconds?: number }) => post<unknown>("/streams", body),
  approveStream: (name: string) => post<unknown>(`/streams/${e(name)}/approve`),
  refuseStream: (name: string) => post<unknown>(`/streams/${e(name)}/refuse`),
  dropStream: (name: string) => remove(`/streams/${e(name)}`),
  schema: (name: string) => json<t.Schemas>(`/streams/${e(name)}/schema`),
  putSchema: (name: string, body: unknown) => json<t.Schemas>(`/streams/${e(name)}/schema`, { method: "PUT", body }),
  readings: (name: string, params: Params) => json<t.Table>(withParams(`/streams/${e(name)}/readings`, params)),

  tables: () => json<t.ReferenceTable[]>("/tables"),
  refreshTable: (name: string) => post<unknown>(`/tables/${e(name)}/refresh`),

  functions: () => json<t.SqlFunction[]>("/functions"),

  devices: () => json<t.Device[]>("/devices"),
  device: (id: string) => json<t.DeviceDetail>(`/devices/${e(id)}`),
  createDevice: (body: { id: string; site?: string }) => post<t.NewDevice>("/devices", body),
  rotateDeviceToken: (id: string) => post<{ token: string }>(`/devices/${e(id)}/token`),
  revokeDeviceToken: (id: string) => remove(`/devices/${e(id)}/token`),
  certificates: (id: string) => json<t.Certificate[]>(`/devices/${e(id)}/certificates`),
  claimCertificate: (id: string) => post<{ claim: string; expires_at: string }>(`/devices/${e(id)}/claim`),
  revokeCertificates: (id: string) => remove(`/devices/${e(id)}/certificates`),
  approveDevice: (id: string) => post<unknown>(`/devices/${e(id)}/approve`),
  refuseDevice: (id: string) => post<unknown>(`/devices/${e(id)}/refuse`),
  series: (id: string, params: Params, signal?: AbortSignal) =>
    json<t.Series>(withParams(`/devices/${e(id)}/series`, params), { signal }),

  quarantine: (params: Params) => json<t.Quarantine>(withParams("/quarantine", params)),
  replay: (body: { ids?: string[]; stream?: string }) => post<t.Replay>("/quarantine/replay", body),
  purge: (body: { ids?: string[]; stream?: string; before?: string }) => post<unknown>("/quarantine/purge", body),

  pipelines: () => json<t.Pipeline[]>("/pipelines"),
  pipeline: (name: string) => json<t.Pipeline>(`/pipelines/${e(name)}`),
  createPipeline: (sql: string) => post<unknown>("/pipelines", { sql }),
  versions: (name: string) => json<t.PipelineVersion[]>(`/pipelines/${e(name)}/versions`),
  /** What a rollback would do, without doing it. */
  foreseeRollBack: (name: string, version: number) =>
    post<t.PipelineChange>(`/pipelines/${e(name)}/rollback`, { version, dry_run: true }),
  rollBack: (name: string, version: number) => post<unknown>(`/pipelines/${e(name)}/rollback`, { version }),
  tap: (name: string, seconds: number, limit: number, signal?: AbortSignal) =>
    json<t.Tapped>(withParams(`/pipelines/${e(name)}/tap`, { seconds, limit }), { signal }),
  preview: (body: { sql: string; minutes: number; limit: number; steps?: boolean }) => post<t.Preview>("/pipelines/preview", body),
  pausePipeline: (name: string) => post<unknown>(`/pipelines/${e(name)}/pause`),
  resumePipeline: (name: string) => post<unknown>(`/pipelines/${e(name)}/resume`),
  dropPipeline: (name: string) => remove(`/pipelines/${e(name)}`),

  alerts: (limit: number) => json<t.Alerts>(withParams("/alerts", { limit })),
  /** Those that have begun and are not over. */
  firing: (limit: number) => json<t.Alerts>(withParams("/alerts", { limit, firing: "true" })),
  acknowledge: (id: string) => post<unknown>(`/alerts/${e(id)}/acknowledge`),

  sql: (query: string, signal?: AbortSignal) =>
    json<t.QueryResult | t.StatementResult>("/sql", { method: "POST", body: { query }, signal }),
  sqlCsv: async (query: string) => (await send("/sql", { method: "POST", body: { query }, accept: "text/csv" })).blob(),

  tokens: () => json<t.Token[]>("/tokens"),
  createToken: (body: { name: string; scopes: t.Scope[]; site?: string; expires?: string }) =>
    post<{ token: string; id: string }>("/tokens", body),
  revokeToken: (id: string) => remove(`/tokens/${e(id)}`),
};

/** A query that must answer with rows; a DDL statement is a mistake of the caller. */
export async function rows(query: string, signal?: AbortSignal): Promise<t.QueryResult> {
  const result = await api.sql(query, signal);
  if (!("rows" in result)) throw new Error("the statement answered with no rows");
  return result;
}

/** Raw GET for the API reference page, which shows answers as they are. */
export async function tryGet(path: string): Promise<{ status: number; took_ms: number; body: string }> {
  const start = performance.now();
  const response = await fetch(path, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  const body = await response.text();
  return { status: response.status, took_ms: performance.now() - start, body };
}

/** Why the hub refuses a tail, or nothing when it does not: the address answers plain HTTP with the problem, and
 *  with 426 when all but the protocol is right. */
export async function whyNoTail(params: Params): Promise<ApiError | null> {
  try {
    await send(withParams("/tail", params));
    return null;
  } catch (error) {
    return error instanceof ApiError && error.status !== 426 && !error.isOffline ? error : null;
  }
}
