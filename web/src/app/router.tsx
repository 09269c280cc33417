/** Every address of the console, below /ui. Screens are loaded when they are first shown. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { search } from "../api/client";
import { Nowhere, Trouble } from "../parts/Trouble";
import { Frame } from "./Frame";

/** All words of an address are texts, written as the API writes them, so that one can be copied into the other. */
export type Words = Record<string, string>;

const words = (given: Record<string, unknown>): Words =>
  Object.fromEntries(Object.entries(given).filter((pair): pair is [string, string] => typeof pair[1] === "string"));

const root = createRootRoute({ component: Frame, notFoundComponent: Nowhere });
const at = <P extends string>(path: P, component: ReturnType<typeof lazyRouteComponent>) =>
  createRoute({ getParentRoute: () => root, path, component, validateSearch: words });

const jobsRoute = at("/jobs", lazyRouteComponent(() => import("../screens/jobs/Jobs"), "Jobs"));
const jobRoute = at("/jobs/$id", lazyRouteComponent(() => import("../screens/job/JobPage"), "JobPage"));
const newRoute = at("/new/$module", lazyRouteComponent(() => import("../screens/new/NewJob"), "NewJob"));

const tree = root.addChildren([
  createRoute({ getParentRoute: () => root, path: "/", beforeLoad: () => { throw redirect({ to: "/overview", search: {} }); } }),
  at("/overview", lazyRouteComponent(() => import("../screens/overview/Overview"), "Overview")),
  jobsRoute,
  jobRoute,
  createRoute({ getParentRoute: () => root, path: "/new", beforeLoad: () => { throw redirect({ to: "/new/$module", params: { module: "xtb" }, search: {} }); } }),
  newRoute,
  at("/modules", lazyRouteComponent(() => import("../screens/modules/Modules"), "Modules")),
  at("/workers", lazyRouteComponent(() => import("../screens/workers/Workers"), "Workers")),
  at("/quotas", lazyRouteComponent(() => import("../screens/quotas/Quotas"), "Quotas")),
  at("/schedules", lazyRouteComponent(() => import("../screens/schedules/Schedules"), "Schedules")),
  at("/schedules/new", lazyRouteComponent(() => import("../screens/schedules/Compose"), "NewSchedule")),
  at("/schedules/$id", lazyRouteComponent(() => import("../screens/schedules/Compose"), "SchedulePage")),
  at("/webhooks", lazyRouteComponent(() => import("../screens/webhooks/Webhooks"), "Webhooks")),
  at("/webhooks/$id", lazyRouteComponent(() => import("../screens/webhooks/WebhookPage"), "WebhookPage")),
  at("/keys", lazyRouteComponent(() => import("../screens/keys/Keys"), "Keys")),
  at("/audit", lazyRouteComponent(() => import("../screens/audit/Audit"), "Audit")),
  at("/streams", lazyRouteComponent(() => import("../screens/streams/Streams"), "Streams")),
  at("/live", lazyRouteComponent(() => import("../screens/events/Events"), "Events")),
]);

export const router = createRouter({
  routeTree: tree,
  basepath: "/ui",
  defaultErrorComponent: Trouble,
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (given) => search(words(given)),
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
