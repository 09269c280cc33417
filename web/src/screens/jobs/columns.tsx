import { createColumnHelper } from "@tanstack/react-table";
import type { Row } from "../../api/queries";
import { JobLink, Lasted, State, When } from "../../parts/Shown";
import { reason } from "../../words/reasons";
import { ENDED } from "../../words/states";

const column = createColumnHelper<Row>();

/** `size` in px; what says why takes the rest. */
export const COLUMNS = [
  column.accessor("id", { header: "Job", size: 128, cell: ({ getValue }) => <JobLink id={getValue()} /> }),
  column.accessor("state", {
    header: "State",
    size: 112,
    cell: ({ row }) => <State state={row.original.state} status={row.original.status} />,
  }),
  column.accessor("module", { header: "Module", size: 120, cell: ({ getValue }) => <span className="theirs">{getValue()}</span> }),
  column.accessor("user_id", { header: "Owner", size: 120, cell: ({ getValue }) => <span className="theirs">{getValue()}</span> }),
  column.accessor("created_at", { header: "Submitted", size: 100, cell: ({ getValue }) => <When at={getValue()} /> }),
  column.display({
    id: "waited",
    header: "Waited",
    size: 90,
    cell: ({ row: { original: job } }) => (
      <Lasted from={job.created_at} to={job.started_at ?? job.ended_at} running={!ENDED.has(job.state)} />
    ),
  }),
  column.display({
    id: "ran",
    header: "Ran",
    size: 90,
    cell: ({ row: { original: job } }) => <Lasted from={job.started_at} to={job.ended_at} running={job.state === "running"} />,
  }),
  column.accessor("attempt", { header: "Try", size: 40 }),
  column.display({ id: "why", header: "Why", size: 0, cell: ({ row }) => <span className="theirs">{because(row.original)}</span> }),
];

function because(job: Row): string {
  if (job.waiting) return reason(job.waiting.code);
  if (job.error) return `${job.error.code}: ${job.error.message}`;
  const { percent, message } = (job.progress ?? {}) as { percent?: number | null; message?: string | null };
  if (job.state === "running" && job.progress) return [percent != null && `${percent} %`, message].filter(Boolean).join(" ");
  return Object.entries(job.labels ?? {}).map(([name, value]) => `${name}=${value}`).join(" ");
}
