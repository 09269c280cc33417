import type { Schedule, ScheduleTriggered } from "../../api/schema";
import { Act } from "../../parts/Act";
import { JobLink } from "../../parts/Shown";

/** What may be done with a schedule, but for changing it. */
export function ScheduleActions({ schedule, gone }: { schedule: Schedule; gone?: () => void }) {
  const path = `/schedules/${encodeURIComponent(schedule.id)}`;
  const { name, paused } = schedule;
  return (
    <>
      <Act
        name={paused ? "Resume" : "Pause"}
        harmless={paused}
        says={paused ? `${name} goes on, without making up for what it missed.` : `${name} submits nothing until it is resumed.`}
        path={`${path}/${paused ? "resume" : "pause"}`}
        stale={["schedules"]}
      />
      <Act
        name="Run now"
        harmless
        says={`${name} submits its job at once, whatever runs.`}
        path={`${path}/trigger`}
        stale={["schedules"]}
        then={(answer) => (
          <p role="status">
            Submitted as <JobLink id={(answer as ScheduleTriggered).job_id} short={false} />
          </p>
        )}
      />
      <Act
        name="Delete"
        says={`${name} submits nothing any more: one schedule goes, and jobs that it made stay.`}
        method="DELETE"
        path={path}
        stale={["schedules", "list"]}
        {...(gone && { done: gone })}
      />
    </>
  );
}
