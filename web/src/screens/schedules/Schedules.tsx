import { useQuery } from "@tanstack/react-query";
import { queries } from "../../api/queries";
import { mayWrite } from "../../api/token";
import { Act } from "../../parts/Act";
import { JobLink, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";

/** What is submitted again and again. */
export function Schedules() {
  const schedules = useQuery(queries.schedules());
  return (
    <>
      <h1>Schedules</h1>
      {schedules.error && <Trouble error={schedules.error} />}
      {schedules.data?.schedules.length === 0 && <p>None. noxctl schedule create makes one.</p>}
      <table className="plain">
        <thead>
          <tr>
            <th>Name</th>
            <th>Owner</th>
            <th>When</th>
            <th>Module</th>
            <th>Next</th>
            <th>Last job</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {schedules.data?.schedules.map((schedule) => {
            const path = `/schedules/${encodeURIComponent(schedule.id)}`;
            return (
              <tr key={schedule.id}>
                <td className="theirs">{schedule.name}</td>
                <td className="theirs">{schedule.user_id}</td>
                <td className="mono theirs">
                  {schedule.cron} {schedule.time_zone}
                </td>
                <td className="theirs">{schedule.job.module}</td>
                <td>{schedule.paused ? <b>paused ({schedule.pause_reason})</b> : <When at={schedule.next_due_at} />}</td>
                <td>{schedule.last_job_id ? <JobLink id={schedule.last_job_id} /> : "–"}</td>
                <td className="row">
                  {mayWrite() && (
                    <>
                      <Act
                        name={schedule.paused ? "Resume" : "Pause"}
                        harmless
                        says={schedule.paused ? "It goes on, without making up for what it missed." : "It submits nothing until it is resumed."}
                        path={`${path}/${schedule.paused ? "resume" : "pause"}`}
                        stale={["schedules"]}
                      />
                      <Act name="Run now" harmless says="Submits its job at once, whatever runs." path={`${path}/trigger`} stale={["schedules"]} />
                      <Act name="Delete" says="It submits nothing any more. Jobs that it made stay." method="DELETE" path={path} stale={["schedules"]} />
                    </>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </>
  );
}
