import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import { useMay } from "../../app/may";
import { useLive } from "../../live/LiveMark";
import { More } from "../../parts/More";
import { JobLink, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { cronWords } from "../../words/cron";
import { ScheduleActions } from "./Actions";

const EVERY_MS = 10_000;

/** What is submitted again and again. */
export function Schedules() {
  const navigate = useNavigate();
  const may = useMay();
  const paused = useLive().state === "paused";
  const list = useInfiniteQuery({ ...queries.schedules(), refetchInterval: paused ? false : EVERY_MS });
  const schedules = list.data?.pages.flatMap((page) => page.schedules) ?? [];
  return (
    <>
      <div className="row">
        <h1>Schedules</h1>
        <span className="grow" />
        {may("create_schedule") ? (
          <Button size="compact-sm" onClick={() => void navigate({ to: "/schedules/new", search: {} })}>
            New schedule…
          </Button>
        ) : (
          <span className="dim">this token only reads</span>
        )}
      </div>
      {list.error && <Trouble error={list.error} />}
      {list.isSuccess && schedules.length === 0 && <p className="dim">None. A schedule submits one job again and again, as its owner.</p>}
      {schedules.length > 0 && (
        <table className="plain">
          <thead>
            <tr>
              <th>Name</th>
              <th>Owner</th>
              <th>When</th>
              <th>Module</th>
              <th>Next</th>
              <th>Last time</th>
              <th>Last job</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {schedules.map((schedule) => (
              <tr key={schedule.id}>
                <td>
                  <Link to="/schedules/$id" params={{ id: schedule.id }} search={{}} className="theirs">
                    {schedule.name}
                  </Link>
                </td>
                <td className="theirs">{schedule.user_id}</td>
                <td>
                  <span className="mono theirs">
                    {schedule.cron} {schedule.time_zone}
                  </span>
                  <div className="dim">{cronWords(schedule.cron)}</div>
                </td>
                <td className="theirs">{schedule.job.module}</td>
                <td>{schedule.paused ? <b>paused ({schedule.pause_reason})</b> : <When at={schedule.next_due_at} />}</td>
                <td>
                  {schedule.last ? (
                    <>
                      {schedule.last.outcome} {schedule.last.code} <When at={schedule.last.at} />
                    </>
                  ) : (
                    "–"
                  )}
                </td>
                <td>{schedule.last_job_id ? <JobLink id={schedule.last_job_id} /> : "–"}</td>
                <td className="row">{may("pause_schedule") && <ScheduleActions schedule={schedule} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <More list={list} />
    </>
  );
}
