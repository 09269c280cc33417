/** What an event changes in what is kept of answers. Pure but for the cache that it is given. */
import type { InfiniteData, QueryClient } from "@tanstack/react-query";
import type { Filter, Row } from "../api/queries";
import { statusOf } from "../words/states";
import { live, type Heard } from "./connection";

type Page = { rows: Row[]; next: string | null };
type Rows = InfiniteData<Page, string | null>;

/** `row` after `event`, which is about it. What an event does not say stays as it was. */
export function after(row: Row, event: Heard): Row {
  const data = event.data as { attempt?: number; code?: string; worker_id?: string; error?: Row["error"]; progress?: Row["progress"] };
  const told = (state: Row["state"]): Pick<Row, "state" | "status"> => ({ state, status: statusOf(row, state) });
  const queued = (code: string): Row => ({ ...row, ...told("queued"), waiting: { code, message: "" } as Row["waiting"], started_at: row.started_at });
  const ended = (state: Row["state"]): Row => ({ ...row, ...told(state), waiting: null, ended_at: event.time as Row["ended_at"], error: data.error ?? row.error });
  switch (word(event)) {
    case "waiting":
      return queued(data.code ?? "priority");
    case "assigned":
      return { ...queued("dispatching"), attempt: (data.attempt ?? row.attempt) as Row["attempt"], worker_id: (data.worker_id ?? row.worker_id) as Row["worker_id"] };
    case "started":
      return { ...row, ...told("running"), waiting: null, started_at: event.time as Row["started_at"] };
    case "retry_scheduled":
      return queued("backoff");
    case "attempt_lost":
    case "draft_submitted":
      return queued("priority");
    case "progressed":
      return { ...row, progress: (data.progress ?? data) as Row["progress"] };
    case "succeeded":
    case "failed":
    case "canceled":
      return ended(word(event) as Row["state"]);
    case "rejected":
      return ended("failed");
    default:
      return row;
  }
}

/** `nox.job.succeeded.v1` is `succeeded`. */
const word = (event: Heard) => event.type.split(".")[2] ?? "";
const kind = (event: Heard) => event.type.split(".")[1] ?? "";

/** Whether a list that is filtered by state goes on showing `row`. Other filters are the server's to judge. */
export function stays(row: Row, filter: Filter): boolean {
  const wanted = filter.status?.split(",");
  const unwanted = filter["status!"]?.split(",");
  return (!wanted || wanted.includes(row.state)) && !unwanted?.includes(row.state);
}

const BY_KIND: Record<string, string> = { module: "modules", worker: "workers", schedule: "schedules", quota: "quotas", webhook: "webhooks", key: "keys" };

/** Patches the lists with `events`, and says anew what the job pages, and other screens, have to ask. */
export function patch(cache: QueryClient, events: Heard[]): void {
  const byJob = new Map<string, Heard[]>();
  const stale = new Set<string>();
  for (const event of events) {
    if (kind(event) === "job") byJob.set(event.subject, [...(byJob.get(event.subject) ?? []), event]);
    else stale.add(BY_KIND[kind(event)] ?? "");
  }
  for (const [key, list] of cache.getQueriesData<Rows>({ queryKey: ["jobs"] })) {
    if (list) cache.setQueryData<Rows>(key, changed(list, key[1] as Filter, byJob));
  }
  for (const id of byJob.keys()) {
    for (const what of ["job", "why", "events", "related", "acts"]) soon(cache, [what, id]);
  }
  if (byJob.size > 0) {
    soon(cache, ["few"]);
    soon(cache, ["counts"], COUNTED_EVERY_MS);
    soon(cache, ["stats"], COUNTED_EVERY_MS);
  }
  for (const key of stale) if (key) soon(cache, [key]);
}

function changed(list: Rows, filter: Filter, byJob: Map<string, Heard[]>): Rows {
  let touched = false;
  const pages = list.pages.map((page) => {
    if (!page.rows.some((row) => byJob.has(row.id))) return page;
    touched = true;
    const rows = page.rows.map((row) => (byJob.get(row.id) ?? []).reduce(after, row)).filter((row) => stays(row, filter));
    return { ...page, rows };
  });
  return touched ? { ...list, pages } : list;
}

/** At most so often is one thing asked for anew, however many events are about it. */
const EVERY_MS = 500;
/** Counting reads more rows than a list. */
const COUNTED_EVERY_MS = 2000;
const due = new Map<string, ReturnType<typeof setTimeout>>();

function soon(cache: QueryClient, queryKey: string[], every = EVERY_MS) {
  const name = queryKey.join(" ");
  if (due.has(name) || cache.getQueryCache().findAll({ queryKey, type: "active" }).length === 0) return;
  const ask = () => void cache.invalidateQueries({ queryKey, refetchType: "active" });
  ask();
  // Once more at the end of the span, for what came within it; where the page is paused by then, behind the pause.
  const later = () => {
    if (live.snapshot().state === "paused") return void due.set(name, setTimeout(later, every));
    due.delete(name);
    ask();
  };
  due.set(name, setTimeout(later, every));
}
