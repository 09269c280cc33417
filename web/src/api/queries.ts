/** What is asked for and under which key it is kept. Live events patch these keys and no others. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { artifact, ask, get, job, type Query } from "./client";
import { Problem } from "./problem";
import type {
  Acts, ApiKeys, Artifacts, Health, Info, Job, JobCounts, JobEvents, JobStats, Jobs, Ledger, Me, Module, Modules, Queue,
  QuotaAccounts, Quotas, RelatedJobs, Schedule, Schedules, System, Violations, Webhook, WebhookDeliveries, Webhooks, Why,
  Workers,
} from "./schema";

/** A job as a list shows it. Inputs and outputs are most of its bytes and are left where they came from. */
export type Row = Omit<Job, "inputs" | "outputs">;

export type Filter = Record<string, string>;

/** Rows of one page: the most that the API gives. */
export const PAGE_ROWS = 200;

function slim({ inputs: _inputs, outputs: _outputs, ...row }: Job): Row {
  return row;
}

/** False once a gateway has said that it does not know short rows. */
let brief = true;

export async function jobsPage(filter: Query, cursor: string | null, limit: number, signal?: AbortSignal): Promise<{ rows: Row[]; next: string | null }> {
  const query = { ...filter, limit, ...(brief && { view: "brief" }), ...(cursor !== null && { cursor }) };
  try {
    const page = await get<Jobs>("/jobs", query, signal);
    return { rows: page.jobs.map(slim), next: page.next ?? null };
  } catch (error) {
    if (!brief || !Problem.from(error).errors.some(({ pointer }) => pointer === "?view")) throw error;
    brief = false;
    return jobsPage(filter, cursor, limit, signal);
  }
}

export const queries = {
  me: () => queryOptions({ queryKey: ["me"], queryFn: ({ signal }) => get<Me>("/me", {}, signal), staleTime: Infinity }),
  /** For everybody, so that the form for signing in has it too. */
  info: () => queryOptions({ queryKey: ["info"], queryFn: ({ signal }) => get<Info>("/info", {}, signal), staleTime: Infinity, retry: false }),
  counts: (filter: Filter, by: string) =>
    queryOptions({ queryKey: ["counts", filter, by], queryFn: ({ signal }) => get<JobCounts>("/jobs/counts", { ...filter, by }, signal), retry: false }),
  /** Of the last `seconds`, in `parts` that begin at whole ones, so that they stay the same from one answer to the next. */
  stats: (seconds: number, parts: number) =>
    queryOptions({
      queryKey: ["stats", seconds, parts],
      queryFn: ({ signal }) => {
        const part = (seconds / parts) * 1000;
        const to = Math.ceil(Date.now() / part) * part;
        const span = { from: new Date(to - seconds * 1000).toISOString(), to: new Date(to).toISOString(), parts };
        return get<JobStats>("/jobs/stats", span, signal);
      },
      retry: false,
    }),
  system: () => queryOptions({ queryKey: ["system"], queryFn: ({ signal }) => get<System>("/system", {}, signal), retry: false }),
  related: (id: string) =>
    queryOptions({ queryKey: ["related", id], queryFn: ({ signal }) => get<RelatedJobs>(`${job(id)}/related`, {}, signal), retry: false }),
  acts: (id: string) => queryOptions({ queryKey: ["acts", id], queryFn: ({ signal }) => get<Acts>(`${job(id)}/acts`, {}, signal), retry: false }),
  /** Answered with 503 while a part is not ready, and says then as well which. */
  ready: () => queryOptions({ queryKey: ["ready"], queryFn: ({ signal }) => readiness(signal) }),
  metrics: () => queryOptions({ queryKey: ["metrics"], queryFn: async ({ signal }) => (await ask("GET", "/metrics", { signal })).text() }),
  health: () => queryOptions({ queryKey: ["health"], queryFn: ({ signal }) => get<Health>("/health", {}, signal) }),
  jobs: (filter: Filter) =>
    infiniteQueryOptions({
      queryKey: ["jobs", filter],
      queryFn: ({ pageParam, signal }) => jobsPage(filter, pageParam, PAGE_ROWS, signal),
      initialPageParam: null as string | null,
      getNextPageParam: (page) => page.next,
      staleTime: Infinity,
    }),
  few: (filter: Filter, limit: number) =>
    queryOptions({
      queryKey: ["few", filter, limit],
      queryFn: async ({ signal }) => (await jobsPage(filter, null, limit, signal)).rows,
    }),
  job: (id: string) => queryOptions({ queryKey: ["job", id], queryFn: ({ signal }) => get<Job>(job(id), {}, signal) }),
  jobAsOf: (id: string, n: number) =>
    queryOptions({
      queryKey: ["past", id, n],
      queryFn: ({ signal }) => get<Job>(job(id), { as_of: n }, signal),
      staleTime: Infinity,
    }),
  why: (id: string) => queryOptions({ queryKey: ["why", id], queryFn: ({ signal }) => get<Why>(`${job(id)}/why`, {}, signal) }),
  events: (id: string) => queryOptions({ queryKey: ["events", id], queryFn: ({ signal }) => allEvents(id, signal) }),
  artifacts: (id: string) =>
    queryOptions({
      queryKey: ["artifacts", id],
      queryFn: ({ signal }) => get<Artifacts>(`${job(id)}/artifacts`, {}, signal),
      staleTime: Infinity,
    }),
  text: (id: string, name: string) =>
    queryOptions({
      queryKey: ["text", id, name],
      queryFn: async ({ signal }) => (await ask("GET", artifact(id, name), { signal })).text(),
      staleTime: Infinity,
    }),
  modules: () => queryOptions({ queryKey: ["modules"], queryFn: ({ signal }) => get<Modules>("/modules", {}, signal) }),
  module: (name: string) =>
    queryOptions({
      queryKey: ["modules", name],
      queryFn: ({ signal }) => get<Module>(`/modules/${encodeURIComponent(name)}`, {}, signal),
    }),
  workers: (state: string) =>
    queryOptions({ queryKey: ["workers", state], queryFn: ({ signal }) => get<Workers>("/workers", { state, limit: 1000 }, signal) }),
  quotas: () => queryOptions({ queryKey: ["quotas", "mine"], queryFn: ({ signal }) => get<Quotas>("/quotas/my/quotas", {}, signal) }),
  usage: () => queryOptions({ queryKey: ["quotas", "usage"], queryFn: ({ signal }) => get<QuotaAccounts>("/quotas", { limit: 200 }, signal) }),
  ledger: () => queryOptions({ queryKey: ["quotas", "ledger"], queryFn: ({ signal }) => get<Ledger>("/quotas/my/ledger", { limit: 50 }, signal) }),
  violations: () =>
    queryOptions({ queryKey: ["quotas", "violations"], queryFn: ({ signal }) => get<Violations>("/quotas/my/violations", { limit: 50 }, signal) }),
  schedules: () => pages(["schedules", "list"], (cursor, signal) => get<Schedules>("/schedules", { limit: 200, cursor }, signal)),
  schedule: (id: string) =>
    queryOptions({
      queryKey: ["schedules", id],
      queryFn: ({ signal }) => get<Schedule>(`/schedules/${encodeURIComponent(id)}`, { next: NEXT_TIMES }, signal),
    }),
  webhooks: () => pages(["webhooks", "list"], (cursor, signal) => get<Webhooks>("/webhooks", { limit: 200, cursor }, signal)),
  webhook: (id: string) =>
    queryOptions({ queryKey: ["webhooks", id, "itself"], queryFn: ({ signal }) => get<Webhook>(`/webhooks/${encodeURIComponent(id)}`, {}, signal) }),
  deliveries: (id: string) =>
    pages(["webhooks", id, "deliveries"], (cursor, signal) =>
      get<WebhookDeliveries>(`/webhooks/${encodeURIComponent(id)}/deliveries`, { limit: 50, cursor }, signal),
    ),
  keys: () => pages(["keys"], (cursor, signal) => get<ApiKeys>("/keys", { limit: 200, cursor }, signal)),
  audit: (filter: Filter) => pages(["audit", filter], (cursor, signal) => get<Acts>("/audit", { ...filter, limit: 100, cursor }, signal)),
  queueAsOf: (at: string, status: string) =>
    pages(["then", "queue", at, status], (cursor, signal) => get<Queue>("/queue", { as_of: at, status, limit: 200, cursor }, signal), Infinity),
  workersAsOf: (at: string) =>
    queryOptions({
      queryKey: ["then", "workers", at],
      queryFn: ({ signal }) => get<Workers>("/workers", { as_of: at, limit: 1000 }, signal),
      staleTime: Infinity,
      retry: false,
    }),
};

/** When a schedule is due, so often beyond the next. */
const NEXT_TIMES = 5;

/** A list of the API's, page by page: `next` is the cursor of the page behind. */
function pages<P extends { next?: unknown }>(queryKey: unknown[], ask: (cursor: string | undefined, signal: AbortSignal) => Promise<P>, staleTime = 2000) {
  return infiniteQueryOptions({
    queryKey,
    queryFn: ({ pageParam, signal }) => ask(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => (page.next === null || page.next === undefined ? undefined : String(page.next)),
    staleTime,
  });
}

/** A job's entries in the log; `/events` pages by frame. */
export type Entry = { n: number; epoch: number; at: string; by: Record<string, unknown>; facts: unknown[] };

/** A job has few entries; one with more pages than this is cut off, and the page says so. */
const EVENT_PAGES_MAX = 40;

async function allEvents(id: string, signal: AbortSignal): Promise<{ entries: Entry[]; complete: boolean }> {
  const entries: Entry[] = [];
  let after: number | undefined;
  for (let page = 0; page < EVENT_PAGES_MAX; page++) {
    const { events, next } = await get<JobEvents>(`${job(id)}/events`, { after }, signal);
    entries.push(...(events as unknown as Entry[]));
    if (events.length === 0 || next === null || next === undefined) return { entries, complete: true };
    after = next as number;
  }
  return { entries, complete: false };
}

export type Readiness = { status: string; parts: Record<string, { status: string; reason?: string }>; notes?: Record<string, string> };

async function readiness(signal: AbortSignal): Promise<Readiness> {
  const response = await fetch("/readyz", { signal, cache: "no-store", credentials: "omit" });
  return (await response.json()) as Readiness;
}
