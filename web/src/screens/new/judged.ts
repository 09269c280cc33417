/** What the server says of a job that is being written, before it is submitted: nothing of it is recorded. */
import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { useRef } from "react";
import { send } from "../../api/client";
import type { DryRun } from "../../api/schema";
import { stringify } from "../../api/exact";
import { Problem } from "../../api/problem";
import { useMay } from "../../app/may";

/** So long nobody typed. */
const STILL_MS = 500;
/** Longer ones are uploaded when they are submitted, and judged then. */
const BODY_LETTERS_MAX = 16_000;

type Body = { module: string; inputs: unknown; requested_resources: Record<string, number>; priority: number };

export function useJudged(body: Body): { taken: DryRun | null; refused: Problem | null } {
  const may = useMay();
  const text = stringify(body);
  // What stands there at first is nobody's yet: it is not found fault with.
  const first = useRef(text);
  const [still] = useDebouncedValue(text, STILL_MS);
  const judged = useQuery({
    queryKey: ["judged", still],
    queryFn: ({ signal }) => send<DryRun>("POST", "/jobs", { query: { dry_run: true }, raw: new Blob([still]), headers: { "Content-Type": "application/json" }, signal }),
    enabled: may("submit_job") && still !== first.current && still.length <= BODY_LETTERS_MAX,
    placeholderData: keepPreviousData,
    retry: false,
    staleTime: 30_000,
    gcTime: 60_000,
  });
  if (still === first.current || text.length > BODY_LETTERS_MAX) return { taken: null, refused: null };
  const refused = judged.error ? Problem.from(judged.error) : null;
  // Another limit than the job's own, or an older server: nothing is said.
  if (refused && (refused.status === 0 || refused.code === "rate_limited" || refused.errors.some(({ pointer }) => pointer === "?dry_run"))) return { taken: null, refused: null };
  return refused ? { taken: null, refused } : { taken: judged.data ?? null, refused: null };
}
