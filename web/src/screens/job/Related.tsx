import type { BlockedBy, Job } from "../../api/schema";
import { JobLink, State } from "../../parts/Shown";

/** Jobs that this one repeats, follows or waits for. */
export function Related({ job, blocked }: { job: Job; blocked: BlockedBy | null }) {
  const jobs = blocked?.jobs ?? [];
  return (
    <ul>
      {job.retry_of && (
        <li>
          does once more what <JobLink id={job.retry_of} short={false} /> did
        </li>
      )}
      {jobs.map((each) => (
        <li key={each.job_id}>
          waits for <JobLink id={each.job_id} short={false} /> <State state={each.state} />
        </li>
      ))}
      {(blocked?.others ?? 0) > 0 && <li>waits for {blocked?.others} jobs of others</li>}
      {!job.retry_of && jobs.length === 0 && <li className="dim">none that the server names</li>}
    </ul>
  );
}
