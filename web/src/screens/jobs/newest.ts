/** New jobs for a list that is there: asked for, not guessed, since only the server knows which jobs a filter chooses. */
import { useQueryClient, type InfiniteData, type QueryClient } from "@tanstack/react-query";
import { useCallback, useEffect, useRef, useState } from "react";
import { jobsPage, PAGE_ROWS, type Filter, type Row } from "../../api/queries";
import { live, type Heard } from "../../live/connection";

type Rows = InfiniteData<{ rows: Row[]; next: string | null }, string | null>;

/** At most so often is the first page asked for again. */
const EVERY_MS = 1000;

const BEGINS = new Set(["nox.job.submitted.v1", "nox.job.drafted.v1"]);

/** Puts what is newer than the list before it. A list that is a whole page behind begins anew. */
async function merge(cache: QueryClient, filter: Filter) {
  const key = ["jobs", filter];
  const page = await jobsPage(filter, null, PAGE_ROWS);
  cache.setQueryData<Rows>(key, (list) => {
    if (!list) return list;
    const known = new Set(list.pages.flatMap(({ rows }) => rows.map(({ id }) => id)));
    const fresh = page.rows.filter(({ id }) => !known.has(id));
    if (fresh.length === page.rows.length && known.size > 0 && page.next !== null) return { pages: [page], pageParams: [null] };
    const [first, ...rest] = list.pages;
    if (!first || fresh.length === 0) return list;
    return { ...list, pages: [{ ...first, rows: [...fresh, ...first.rows] }, ...rest] };
  });
}

/**
 * Keeps the beginning of the list new while it `follows`; else counts what came, for whoever scrolled away. `bring`
 * fetches it then.
 */
export function useNewest(filter: Filter, follows: boolean) {
  const cache = useQueryClient();
  const [missed, setMissed] = useState(0);
  const busy = useRef(false);
  const again = useRef(false);

  const bring = useCallback(async () => {
    if (busy.current) {
      again.current = true;
      return;
    }
    busy.current = true;
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
    if (filter.sort === "created_at") return;
    return live.take((events: Heard[]) => {
      const count = events.filter(({ type }) => BEGINS.has(type)).length;
      if (count === 0) return;
      if (follows) void bring();
      else setMissed((before) => before + count);
    });
  }, [filter, follows, bring]);

  return { missed, bring };
}
