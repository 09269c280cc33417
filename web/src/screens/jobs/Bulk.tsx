import { Button } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { job as address, send } from "../../api/client";
import { Problem } from "../../api/problem";
import type { Filter } from "../../api/queries";
import type { CanceledJobs, RetriedJobs } from "../../api/schema";
import { Dialog } from "../../parts/Dialog";
import { given, Reason } from "../../parts/Reason";
import { Trouble } from "../../parts/Trouble";

export type Action = "cancel" | "retry";

type Props = { action: Action | null; filter: Filter; picked: ReadonlySet<string>; close: () => void; done: () => void };

/** Says how many are hit before anything is done, and holds to that number. */
export function Bulk({ action, filter, picked, close, done }: Props) {
  return (
    <Dialog open={action !== null} onClose={close} title={action === "cancel" ? "Cancel jobs" : "Run jobs again"}>
      {action && (picked.size > 0 ? <Picked action={action} ids={[...picked]} done={done} /> : <Chosen action={action} filter={filter} done={done} />)}
    </Dialog>
  );
}

type Sum = { done: number; refused: Problem[] };

function Picked({ action, ids, done }: { action: Action; ids: string[]; done: () => void }) {
  const [sum, setSum] = useState<Sum>({ done: 0, refused: [] });
  const work = useMutation({
    mutationFn: async (reason: string) => {
      for (const id of ids) {
        const refused = await send("POST", `${address(id)}/${action}`, { reason }).then(() => null, (error: unknown) => Problem.from(error));
        setSum((before) => (refused ? { ...before, refused: [...before.refused, refused] } : { ...before, done: before.done + 1 }));
      }
    },
    onSuccess: done,
  });
  return <Confirm action={action} count={String(ids.length)} sum={sum} work={work} />;
}

/** How many the server takes at a time. */
const AT_ONCE = 1000;

function Chosen({ action, filter: { sort: _, ...filter }, done }: { action: Action; filter: Filter; done: () => void }) {
  const cache = useQueryClient();
  const [sum, setSum] = useState<Sum>({ done: 0, refused: [] });
  const path = `/jobs/${action}`;
  const preview = useQuery({
    queryKey: ["preview", action, filter],
    queryFn: () => send<CanceledJobs>("POST", path, { query: { ...filter, preview: true } }),
    staleTime: 0,
    gcTime: 0,
  });
  const work = useMutation({
    mutationFn: async (reason: string) => {
      // New jobs that the filter chooses meanwhile are not among those that were shown.
      const before = filter.created_before ?? new Date().toISOString();
      const key = crypto.randomUUID();
      let cursor: string | undefined;
      do {
        const query = { ...filter, created_before: before, limit: AT_ONCE, cursor, ...(cursor === undefined && preview.data?.complete && { at_most: preview.data.count }) };
        const answer = await send<CanceledJobs & RetriedJobs>("POST", path, { query, reason, headers: { "Idempotency-Key": `${key}-${cursor ?? "0"}`.slice(0, 255) } });
        const refused = answer.jobs.flatMap((each) => ("problem" in each && each.problem ? [new Problem(each.problem)] : []));
        setSum((sum) => ({ done: sum.done + answer.jobs.length - refused.length, refused: [...sum.refused, ...refused] }));
        cursor = answer.next ?? undefined;
      } while (cursor !== undefined);
    },
    onSuccess: () => {
      void cache.invalidateQueries({ queryKey: ["counts"] });
      done();
    },
  });
  if (preview.error) return <Trouble error={preview.error} />;
  if (!preview.data) return <p>Counting…</p>;
  const { count, complete } = preview.data;
  return <Confirm action={action} count={count.toLocaleString() + (complete ? "" : " or more")} sum={sum} work={work} none={count === 0} />;
}

type Work = { isPending: boolean; isSuccess: boolean; error: unknown; mutate: (reason: string) => void };

function Confirm({ action, count, sum, work, none }: { action: Action; count: string; sum: Sum; work: Work; none?: boolean }) {
  const word = action === "cancel" ? "Cancel" : "Run again";
  const [reason, setReason] = useState("");
  return (
    <>
      <p>
        {action === "cancel" ? "Cancels" : "Submits anew"} <b>{count}</b> jobs
        {action === "cancel" ? "; what runs is killed." : ", each as it was, by your own limits."}
      </p>
      {!work.isSuccess && (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            work.mutate(reason);
          }}
        >
          <Reason reason={reason} set={setReason} required />
          <Button type="submit" color={action === "cancel" ? "red" : undefined} loading={work.isPending} disabled={none || !given(reason, true)}>
            {word} {count}
          </Button>
        </form>
      )}
      {(work.isPending || work.isSuccess) && (
        <p role="status">
          {sum.done} done{sum.refused.length > 0 && `, ${sum.refused.length} refused`}
        </p>
      )}
      {work.error !== null && <Trouble error={work.error} />}
      {sum.refused.slice(0, 3).map((problem, place) => (
        <Trouble key={place} error={problem} />
      ))}
    </>
  );
}
