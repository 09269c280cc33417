/** How many jobs a filter chooses, and of what; each facet obeys all of the filter but its own words. */
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import type { FacetValue } from "../../api/schema";
import { queries, type Filter } from "../../api/queries";
import { useLive } from "../../live/LiveMark";

/** Events say sooner what is stale; this is for what they do not tell. */
const EVERY_MS = 10_000;

export function useCounts({ sort: _sort, ...filter }: Filter, by: string) {
  const paused = useLive().state === "paused";
  return useQuery({
    ...queries.counts(filter, by),
    refetchInterval: ({ state }) => (paused || state.error ? false : EVERY_MS),
    placeholderData: keepPreviousData,
  });
}

/** As many as were counted, which may be the fewest that there are. */
export const counted = ({ count, is_exact }: Pick<FacetValue, "count" | "is_exact">) => count.toLocaleString() + (is_exact ? "" : "+");
