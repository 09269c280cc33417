/**
 * How many jobs of each state the filter chooses. The API counts nothing else, but the previews of `POST /jobs/cancel`
 * and `/jobs/retry` do: those that have not ended, and those that have, up to 10,000 of each state.
 */
import { useQueries } from "@tanstack/react-query";
import { send } from "../../api/client";
import type { Filter } from "../../api/queries";
import type { CanceledJobs } from "../../api/schema";
import { mayWrite } from "../../api/token";
import { useLive } from "../../live/LiveMark";
import { ENDED, STATES } from "../../words/states";

/** Counting reads up to 10,000 rows, five times. */
const EVERY_MS = 10_000;

export function useCounts({ sort: _sort, status: _status, "status!": _not, ...filter }: Filter) {
  const paused = useLive().state === "paused";
  const answers = useQueries({
    queries: STATES.map((state) => ({
      retry: false,
      queryKey: ["counts", state, filter],
      queryFn: () =>
        send<CanceledJobs>("POST", ENDED.has(state) ? "/jobs/retry" : "/jobs/cancel", {
          query: { ...filter, status: state, preview: true },
        }),
      // A key that only reads is refused, and not asked again.
      refetchInterval: ({ state }: { state: { error: unknown } }) => (paused || state.error ? false : EVERY_MS),
      staleTime: EVERY_MS,
      enabled: mayWrite(),
    })),
  });
  return new Map(STATES.map((state, place) => [state as string, answers[place]?.data]));
}
