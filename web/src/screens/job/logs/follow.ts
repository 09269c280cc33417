import { useEffect, useRef, useState } from "react";
import { get, job } from "../../../api/client";
import { Problem } from "../../../api/problem";
import type { Logs } from "../../../api/schema";
import { useLive } from "../../../live/LiveMark";
import { Lines } from "./lines";

/** Chunks come within 300 ms of what they hold. */
const EVERY_MS = 500;
const RETRY_MS = 2000;

/** All of a job's log, and what comes while it runs and the page follows. */
export function useLog(id: string, ended: boolean) {
  const lines = useRef(new Lines());
  const after = useRef<number | undefined>(undefined);
  const [, drawn] = useState(0);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [complete, setComplete] = useState(false);
  const paused = useLive().state === "paused";

  useEffect(() => {
    if (paused) return;
    const abort = new AbortController();
    const wait = (ms: number) => new Promise((done) => setTimeout(done, ms));
    async function follow() {
      while (!abort.signal.aborted) {
        try {
          const page = await get<Logs>(`${job(id)}/logs`, { after: after.current }, abort.signal);
          page.chunks.forEach((chunk) => lines.current.add(chunk));
          if (page.next != null) after.current = Number(page.next);
          setProblem(null);
          if (page.chunks.length > 0) drawn((count) => count + 1);
          else if (ended) return setComplete(true);
          else await wait(EVERY_MS);
        } catch (error) {
          if (abort.signal.aborted) return;
          setProblem(Problem.from(error));
          await wait(RETRY_MS);
        }
      }
    }
    void follow();
    return () => abort.abort();
  }, [id, ended, paused]);

  return { lines: lines.current.all, complete, problem };
}
