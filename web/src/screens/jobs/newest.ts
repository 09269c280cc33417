/** New jobs for a list that is there: asked for, not guessed, since only the server knows which jobs a filter chooses. */
import { useQueryClient, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { jobsPage, PAGE_ROWS, type Filter, type Row } from "../../api/queries";
import { live, type Heard } from "../../live/connection";
import { choosesSome } from "./query";

type Rows = InfiniteData<{ rows: Row[]; next: string | null }, string | null>;

/** At most so often is the first page asked for again. */
const EVERY_MS = 1000;

const BEGINS = new Set(["nox.job.submitted.v1", "nox.job.drafted.v1"]);
/** Says nothing that a filter asks for. */
const PROGRESSED = "nox.job.progressed.v1";

/** Lists go by it. Its letters are in the order of the instants, once the `Z` is off that stands behind fractions of any length. */
const made = ({ created_at, id }: Row) => `${String(created_at).replace("Z", "")} ${id}`;
const isBefore = (row: Row, other: Row, filter: Filter) => (filter.sort === "created_at" ? made(row) < made(other) : made(row) > made(other));

/**
 * The list with what its first page, asked for again, has and it has not, each where it belongs. What belongs behind all that
 * is loaded comes with the page that is to be loaded there. A list that is a whole page behind begins anew.
 */
export function merged(list: Rows, page: Rows["pages"][number], filter: Filter): Rows {
  const known = new Set(list.pages.flatMap(({ rows }) => rows.map(({ id }) => id)));
  const fresh = page.rows.filter(({ id }) => !known.has(id));
  if (fresh.length === 0) return list;
  if (known.size === 0 || (fresh.length === page.rows.length && page.next !== null)) return { pages: [page], pageParams: [null] };
  const pages = list.pages.map(({ rows, next }) => ({ rows: [...rows], next }));
  for (const row of fresh) {
    const behind = pages.find(({ rows }) => rows.some((other) => isBefore(row, other, filter)));
    const last = pages.at(-1);
    if (behind) behind.rows.splice(behind.rows.findIndex((other) => isBefore(row, other, filter)), 0, row);
    else if (last?.next === null) last.rows.push(row);
  }
  return { ...list, pages };
}

/** Whether one of `events` may have brought a job into what `filter` chooses: it is about a job that the list has not. */
export function mayEnter(list: Rows | undefined, events: Heard[], filter: Filter): boolean {
  if (!choosesSome(filter)) return false;
  const known = new Set(list?.pages.flatMap(({ rows }) => rows.map(({ id }) => id)));
  return events.some(({ type, subject }) => type.startsWith("nox.job.") && type !== PROGRESSED && !known.has(subject));
}

async function merge(cache: QueryClient, filter: Filter) {
  const page = await jobsPage(filter, null, PAGE_ROWS);
  cache.setQueryData<Rows>(["jobs", filter], (list) => list && merged(list, page, filter));
}

/**
 * Keeps the beginning of the list new while it `follows`; else counts what came, for whoever scrolled away. `bring`
 * fetches it then. Where a filter chooses, whatever happens to a job that the list has not may bring it in.
 */
export function useNewest(filter: Filter, follows: boolean) {
  const cache = useQueryClient();
  const [missed, setMissed] = useState(0);
  const busy = useRef(false);
  const again = useRef(false);
  /** Something may have entered while nobody was at the list's beginning. */
  const entered = useRef(false);

  const bring = useCallback(async () => {
    if (busy.current) {
      again.current = true;
      return;
    }
    busy.current = true;
    entered.current = false;
    setMissed(0);
    await merge(cache, filter).catch(() => {});
    setTimeout(() => {
      busy.current = false;
      // While the page is paused, the next event behind the pause does it.
      if (!again.current || live.snapshot().state === "paused") return;
      again.current = false;
      void bring();
    }, EVERY_MS);
  }, [cache, filter]);

  useEffect(() => {
    if (follows && entered.current) void bring();
    return live.take((events: Heard[]) => {
      const enters = mayEnter(cache.getQueryData<Rows>(["jobs", filter]), events, filter);
      // Of a list that begins with the oldest, new jobs are at its end.
      const count = filter.sort === "created_at" ? 0 : events.filter(({ type }) => BEGINS.has(type)).length;
      if (follows && (enters || count > 0)) return void bring();
      entered.current ||= enters;
      if (count > 0) setMissed((before) => before + count);
    });
  }, [cache, filter, follows, bring]);

  return { missed, bring };
}
