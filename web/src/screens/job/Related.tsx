import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import type { BlockedBy, Job, RelatedJob } from "../../api/schema";
import { JobLink, State } from "../../parts/Shown";

/** Jobs that this one repeats, follows, waits for or came with, and those that repeat it. */
export function Related({ job, blocked }: { job: Job; blocked: BlockedBy | null }) {
  const related = useQuery(queries.related(job.id));
  const kin = related.data;
  const waits = blocked?.jobs ?? [];
  const known = (kin && (kin.retries.length > 0 || kin.follows.length > 0 || kin.batch.length > 0 || kin.schedule_id)) || job.retry_of || waits.length > 0;
  return (
    <>
      {!known && !related.isPending && <p className="dim">None that the server names.</p>}
      {kin?.retry_of ? (
        <Kins title="Does once more what this one did" jobs={[kin.retry_of]} />
      ) : (
        job.retry_of && (
          <p>
            Does once more what <JobLink id={job.retry_of} short={false} /> did.
          </p>
        )
      )}
      <Kins title="Done once more as" jobs={kin?.retries ?? []} />
      {kin && !kin.retries_complete && (
        <p>
          <Link to="/jobs" search={{ retry_of: job.id }}>All that repeat it</Link>
        </p>
      )}
      {waits.length > 0 && (
        <>
          <h2>Waits for</h2>
          <ul>
            {waits.map((each) => (
              <li key={each.job_id}>
                <JobLink id={each.job_id} short={false} /> <State state={each.state} />
              </li>
            ))}
          </ul>
        </>
      )}
      {(blocked?.others ?? 0) > 0 && <p>Waits for {blocked?.others} jobs of others.</p>}
      <Kins title="Follows" jobs={kin?.follows ?? []} />
      {kin?.schedule_id && (
        <p>
          Submitted by the schedule{" "}
          <Link to="/schedules/$id" params={{ id: kin.schedule_id }} search={{}} className="mono">
            {kin.schedule_id}
          </Link>
        </p>
      )}
      <Kins title="Submitted with it" jobs={kin?.batch ?? []} />
      {kin && !kin.log_known && <p className="dim">The log has no more what it followed and came with.</p>}
      {(kin?.hidden ?? 0) > 0 && <p className="dim">And {kin?.hidden} that you may not see, or that are gone.</p>}
    </>
  );
}

function Kins({ title, jobs }: { title: string; jobs: RelatedJob[] }) {
  if (jobs.length === 0) return null;
  return (
    <>
      <h2>{title}</h2>
      <table className="plain">
        <tbody>
          {jobs.map((each) => (
            <tr key={each.job_id}>
              <td>
                <JobLink id={each.job_id} short={false} />
              </td>
              <td>
                <State state={each.state} />
              </td>
              <td className="theirs">{each.user_id}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
