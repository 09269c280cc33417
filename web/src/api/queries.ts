/** What is asked for and under which key it is kept. Live events patch these keys and no others. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { artifact, ask, get, job, type Query } from "./client";
import type {
  Artifacts, Health, Job, JobEvents, Jobs, Ledger, Me, Module, Modules, QuotaAccounts, Quotas, Schedules,
  Violations, Why, Workers,
} from "./schema";

/** A job as a list shows it. Inputs and outputs are most of its bytes and are left where they came from. */
export type Row = Omit<Job, "inputs" | "outputs">;

export type Filter = Record<string, string>;

/** Rows of one page: the most that the API gives. */
export const PAGE_ROWS = 200;

function slim({ inputs: _inputs, outputs: _outputs, ...row }: Job): Row {
  return row;
}

export async function jobsPage(filter: Query, cursor: string | null, limit: number, signal?: AbortSignal) {
  const page = await get<Jobs>("/jobs", { ...filter, limit, ...(cursor !== null && { cursor }) }, signal);
  return { rows: page.jobs.map(slim), next: page.next ?? null };
}

export const queries = {
  me: () => queryOptions({ queryKey: ["me"], queryFn: ({ signal }) => get<Me>("/me", {}, signal), staleTime: Infinity }),
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
  schedules: () => queryOptions({ queryKey: ["schedules"], queryFn: ({ signal }) => get<Schedules>("/schedules", { limit: 200 }, signal) }),
};

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
