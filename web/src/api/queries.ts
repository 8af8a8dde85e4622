// Cached questions to the hub, shared by the screens. A number after `refetchInterval` is how stale a person may see it.
import { QueryClient, queryOptions } from "@tanstack/react-query";
import { api } from "./client";
import { ApiError } from "./problem";

const SECOND_MS = 1000;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2 * SECOND_MS,
      // A refusal stays a refusal; a hub that is away may be starting.
      retry: (count, error) => !(error instanceof ApiError && !error.isOffline) && count < 2,
      // `navigator.onLine` knows the internet, not the hub on this machine.
      networkMode: "always",
    },
    mutations: { networkMode: "always" },
  },
});

export const queries = {
  me: queryOptions({ queryKey: ["me"], queryFn: api.me, staleTime: 60 * SECOND_MS }),
  overview: queryOptions({ queryKey: ["overview"], queryFn: api.overview, refetchInterval: 3 * SECOND_MS }),
  connect: queryOptions({ queryKey: ["connect"], queryFn: api.connect, staleTime: 60 * SECOND_MS }),
  streams: queryOptions({ queryKey: ["streams"], queryFn: api.streams, refetchInterval: 10 * SECOND_MS }),
  tables: queryOptions({ queryKey: ["tables"], queryFn: api.tables, refetchInterval: 10 * SECOND_MS }),
  functions: queryOptions({ queryKey: ["functions"], queryFn: api.functions, refetchInterval: 10 * SECOND_MS }),
  schema: (name: string) => queryOptions({ queryKey: ["schema", name], queryFn: () => api.schema(name) }),
  devices: queryOptions({ queryKey: ["devices"], queryFn: api.devices, refetchInterval: 5 * SECOND_MS }),
  device: (id: string) =>
    queryOptions({ queryKey: ["device", id], queryFn: () => api.device(id), refetchInterval: 5 * SECOND_MS }),
  certificates: (id: string) =>
    queryOptions({ queryKey: ["device", id, "certificates"], queryFn: () => api.certificates(id), refetchInterval: 30 * SECOND_MS }),
  pipelines: queryOptions({ queryKey: ["pipelines"], queryFn: api.pipelines, refetchInterval: 3 * SECOND_MS }),
  versions: (name: string, present: number) =>
    queryOptions({ queryKey: ["pipelines", name, "versions", present], queryFn: () => api.versions(name) }),
  alerts: queryOptions({ queryKey: ["alerts"], queryFn: () => api.alerts(200), refetchInterval: 5 * SECOND_MS }),
  firing: queryOptions({ queryKey: ["alerts", "firing"], queryFn: () => api.firing(200), refetchInterval: 5 * SECOND_MS }),
  quarantine: (filter: { stream?: string; reason?: string; device?: string }) =>
    queryOptions({
      queryKey: ["quarantine", filter],
      queryFn: () => api.quarantine({ ...filter, limit: 200 }),
      refetchInterval: 5 * SECOND_MS,
    }),
  tokens: queryOptions({ queryKey: ["tokens"], queryFn: api.tokens }),
};
