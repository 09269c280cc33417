import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { send } from "../../api/client";
import { Problem } from "../../api/problem";
import { queries } from "../../api/queries";
import type { Overlap, Schedule, ScheduleChanged } from "../../api/schema";
import { useMay } from "../../app/may";
import { withUploads } from "../../api/upload";
import { Reason } from "../../parts/Reason";
import { JobLink, Json, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { cronWords } from "../../words/cron";
import { Field } from "../new/Form";
import "../new/new.css";
import { placed, type Schema } from "../new/schema";
import { ScheduleActions } from "./Actions";

const pageRoute = getRouteApi("/schedules/$id");
const newRoute = getRouteApi("/schedules/new");

const EXAMPLES = ["@hourly", "@daily", "*/15 * * * *", "0 6 * * *", "0 9 * * MON-FRI"];

const OVERLAPS: { value: Overlap; label: string }[] = [
  { value: "skip", label: "skip: the next one is left out" },
  { value: "queue", label: "queue: the newest one waits" },
  { value: "allow", label: "allow: they run beside each other" },
];

/** One schedule: when it is due, what became of it, and a form to change it. */
export function SchedulePage() {
  const { id } = pageRoute.useParams();
  const may = useMay();
  const { edit } = pageRoute.useSearch();
  const navigate = useNavigate();
  const found = useQuery(queries.schedule(id));
  if (found.error) return <Trouble error={found.error} />;
  if (!found.data) return <p>Loading…</p>;
  const schedule = found.data;
  const show = (search: Record<string, string>) => void navigate({ to: "/schedules/$id", params: { id }, search });
  return (
    <article>
      <div className="row">
        <h1 className="theirs">{schedule.name}</h1>
        <span className="grow" />
        {may("replace_schedule") && (
          <>
            <Button size="compact-sm" variant="default" aria-expanded={edit !== undefined} onClick={() => show(edit === undefined ? { edit: "1" } : {})}>
              Change…
            </Button>
            <ScheduleActions schedule={schedule} gone={() => void navigate({ to: "/schedules", search: {} })} />
          </>
        )}
      </div>
      <div className="row facts">
        <span className="mono theirs">
          {schedule.cron} {schedule.time_zone}
        </span>
        <span>{cronWords(schedule.cron)}</span>
        <span>
          <span className="dim">owner</span> <span className="theirs">{schedule.user_id}</span>
        </span>
        <span>
          <span className="dim">module</span> <span className="theirs">{schedule.job.module} {schedule.job.module_version}</span>
        </span>
        <span>
          <span className="dim">overlap</span> {schedule.overlap}
        </span>
        <span>
          <span className="dim">made up for within</span> {schedule.catch_up_s} s
        </span>
      </div>
      {schedule.paused && <p className="problem">Paused ({schedule.pause_reason}): it submits nothing.</p>}
      {edit !== undefined && may("replace_schedule") ? (
        <ScheduleForm key={schedule.n} schedule={schedule} first={schedule.job.module} done={() => show({})} />
      ) : (
        <>
          <h2>Due next</h2>
          {schedule.next_times.length === 0 ? (
            <p className="dim">Never, as it stands.</p>
          ) : (
            <ol>
              {schedule.next_times.map((at) => (
                <li key={at}>
                  <When at={at} exact /> <span className="dim"><When at={at} /></span>
                </li>
              ))}
            </ol>
          )}
          <h2>What became of the newest occurrence</h2>
          {schedule.last ? (
            <p>
              due <When at={schedule.last.due_at} exact />: <b>{schedule.last.outcome}</b> <span className="theirs">{schedule.last.code} {schedule.last.detail}</span>
            </p>
          ) : (
            <p className="dim">It was not due yet.</p>
          )}
          {schedule.last_job_id && (
            <p>
              The last job: <JobLink id={schedule.last_job_id} short={false} />
            </p>
          )}
          <h2>What it submits</h2>
          <Json value={schedule.job} label="job" />
        </>
      )}
    </article>
  );
}

export function NewSchedule() {
  const { module = "noop" } = newRoute.useSearch();
  const navigate = useNavigate();
  return (
    <>
      <h1>New schedule</h1>
      <ScheduleForm first={module} done={(id) => void navigate({ to: "/schedules/$id", params: { id }, search: {} })} />
    </>
  );
}

type FormProps = { schedule?: Schedule; first: string; done: (id: string) => void };

function ScheduleForm({ schedule, first, done }: FormProps) {
  const cache = useQueryClient();
  const may = useMay();
  const navigate = useNavigate();
  const modules = useQuery(queries.modules());
  const [name, setName] = useState(schedule?.name ?? "");
  const [cron, setCron] = useState(schedule?.cron ?? "@daily");
  const [zone, setZone] = useState(schedule?.time_zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone);
  const [overlap, setOverlap] = useState<Overlap>(schedule?.overlap ?? "skip");
  const [catchUp, setCatchUp] = useState(String(schedule?.catch_up_s ?? 3600));
  const [inputs, setInputs] = useState<unknown>(schedule?.job.inputs ?? {});
  const [reason, setReason] = useState("");
  const module = useQuery(queries.module(first));
  const work = useMutation({
    mutationFn: async () => {
      // What the form does not show of the job stays as it is. A member that says nothing is left out.
      const kept = Object.fromEntries(Object.entries(schedule?.job ?? { module: first }).filter(([, value]) => value !== null));
      return send<ScheduleChanged>(schedule ? "PUT" : "POST", schedule ? `/schedules/${encodeURIComponent(schedule.id)}` : "/schedules", {
        body: { name, cron, time_zone: zone, overlap, catch_up_s: Number(catchUp), job: { ...kept, inputs: await withUploads(inputs) } },
        reason,
      });
    },
    onSuccess: ({ id }) => {
      void cache.invalidateQueries({ queryKey: ["schedules"] });
      done(id);
    },
  });
  const problem = work.error ? Problem.from(work.error) : null;
  const fault = (pointer: string) => problem?.errors.find((each) => each.pointer === pointer)?.detail;
  // The form's places are those of a job by itself.
  const errors = (problem?.errors ?? []).map((each) => ({ ...each, pointer: each.pointer.replace(/^\/job\//, "/") }));
  const said = cronWords(cron);
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        work.mutate();
      }}
    >
      <div className="members" data-root>
        <TextInput label="Name" required maxLength={128} value={name} onChange={(event) => setName(event.currentTarget.value)} error={fault("/name")} />
        <div>
          <TextInput
            label="When"
            required
            description={said ?? "minute, hour, day of the month, month, day of the week, or a word such as @daily"}
            classNames={{ input: "mono" }}
            spellCheck={false}
            value={cron}
            onChange={(event) => setCron(event.currentTarget.value)}
            error={fault("/cron")}
          />
          <div className="row below">
            {EXAMPLES.map((each) => (
              <button key={each} type="button" className="facet mono" aria-pressed={cron === each} onClick={() => setCron(each)}>
                {each}
              </button>
            ))}
          </div>
        </div>
        <TextInput label="Time zone" list="zones" description="As IANA names it." value={zone} onChange={(event) => setZone(event.currentTarget.value)} error={fault("/time_zone")} spellCheck={false} />
        <datalist id="zones">
          {["UTC", ...Intl.supportedValuesOf("timeZone")].map((each) => (
            <option key={each} value={each} />
          ))}
        </datalist>
        <NativeSelect label="While an earlier job has not ended" value={overlap} onChange={(event) => setOverlap(event.currentTarget.value as Overlap)} data={OVERLAPS} error={fault("/overlap")} />
        <TextInput label="Made up for within, in seconds" inputMode="numeric" description="How late one may still be submitted after a downtime." value={catchUp} onChange={(event) => setCatchUp(event.currentTarget.value.replace(/\D/g, ""))} error={fault("/catch_up_s")} />
        {schedule ? (
          <TextInput label="Module" value={first} readOnly />
        ) : (
          <NativeSelect
            label="Module"
            value={first}
            onChange={(event) => {
              setInputs({});
              void navigate({ to: "/schedules/new", search: { module: event.currentTarget.value }, replace: true });
            }}
            data={modules.data?.modules.map((each) => ({ value: each.name, label: each.title ? `${each.name}: ${each.title}` : each.name })) ?? [first]}
          />
        )}
      </div>
      <h2>Inputs</h2>
      {module.error && <Trouble error={module.error} />}
      {module.data && (
        <Field key={first} schema={module.data.schema.inputs as Schema} path={[]} inputs={inputs} set={(path, value) => setInputs((before: unknown) => placed(before, path, value))} errors={errors} />
      )}
      {schedule && <Reason reason={reason} set={setReason} />}
      {problem && <Trouble error={problem} />}
      <p>
        <Button type="submit" loading={work.isPending} disabled={!may("create_schedule") || name.trim() === ""}>
          {schedule ? "Save" : "Create"}
        </Button>
      </p>
    </form>
  );
}
