import {
  createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect, retainSearchParams,
} from "@tanstack/react-router";
import { queries, queryClient } from "../api/queries";
import { Overview } from "../overview/overview";
import { Unreachable } from "./unreachable";
import { NotFound } from "./not-found";
import { readRange, type RangeSearch } from "./range";
import { Shell } from "./shell";
import * as search from "./search";

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound });

/** Everything behind the sign-in. */
const inside = createRoute({
  id: "inside",
  getParentRoute: () => root,
  component: Shell,
  errorComponent: Unreachable,
  validateSearch: (raw: Record<string, unknown>): RangeSearch => readRange(raw),
  search: { middlewares: [retainSearchParams(["range"])] },
  beforeLoad: async ({ location }) => {
    const me = await queryClient.ensureQueryData(queries.me);
    if (me.signed_in) return;
    if (me.setup_needed) throw redirect({ to: "/setup" });
    throw redirect({ to: "/sign-in", search: { next: location.href } });
  },
});
const at = <const P extends string>(path: P) => ({ path, getParentRoute: () => inside });

const overview = createRoute({ ...at("/"), component: Overview });
const devices = createRoute({
  ...at("/devices"),
  validateSearch: search.devices,
  component: lazyRouteComponent(() => import("../devices/devices"), "Devices"),
});
const device = createRoute({
  ...at("/devices/$id"),
  component: lazyRouteComponent(() => import("../devices/device"), "DeviceScreen"),
});
const live = createRoute({
  ...at("/live"),
  validateSearch: search.live,
  component: lazyRouteComponent(() => import("../live/live"), "Live"),
});
const explore = createRoute({
  ...at("/explore"),
  validateSearch: search.explore,
  component: lazyRouteComponent(() => import("../explore/explore"), "Explore"),
});
const pipelines = createRoute({
  ...at("/pipelines"),
  component: lazyRouteComponent(() => import("../pipelines/pipelines"), "Pipelines"),
});
const newPipeline = createRoute({
  ...at("/pipelines/new"),
  validateSearch: search.draft,
  component: lazyRouteComponent(() => import("../pipelines/draft"), "PipelineDraft"),
});
const pipeline = createRoute({
  ...at("/pipelines/$name"),
  component: lazyRouteComponent(() => import("../pipelines/pipeline"), "PipelineScreen"),
});
const alerts = createRoute({
  ...at("/alerts"),
  validateSearch: search.alerts,
  component: lazyRouteComponent(() => import("../alerts/alerts"), "AlertsScreen"),
});
const quarantine = createRoute({
  ...at("/quarantine"),
  validateSearch: search.quarantine,
  component: lazyRouteComponent(() => import("../quarantine/quarantine"), "QuarantineScreen"),
});
const streams = createRoute({
  ...at("/streams"),
  component: lazyRouteComponent(() => import("../streams/streams"), "Streams"),
});
const stream = createRoute({
  ...at("/streams/$name"),
  component: lazyRouteComponent(() => import("../streams/stream"), "StreamScreen"),
});
const connect = createRoute({
  ...at("/connect"),
  component: lazyRouteComponent(() => import("../connect/connect"), "ConnectScreen"),
});
const access = createRoute({ ...at("/access"), component: lazyRouteComponent(() => import("../access/access"), "Access") });
const reference = createRoute({
  ...at("/reference"),
  component: lazyRouteComponent(() => import("../reference/reference"), "Reference"),
});

const signIn = createRoute({
  path: "/sign-in",
  getParentRoute: () => root,
  validateSearch: search.signIn,
  component: lazyRouteComponent(() => import("../sign-in/sign-in"), "SignIn"),
});
const setup = createRoute({
  path: "/setup",
  getParentRoute: () => root,
  validateSearch: search.setup,
  component: lazyRouteComponent(() => import("../sign-in/setup"), "Setup"),
});

export const router = createRouter({
  routeTree: root.addChildren([
    inside.addChildren([
      overview, devices, device, live, explore, pipelines, newPipeline, pipeline, alerts, quarantine, streams, stream,
      connect, access, reference,
    ]),
    signIn,
    setup,
  ]),
  defaultPreload: "intent",
  defaultErrorComponent: Unreachable,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
