import { Button, Tabs } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { lazy, Suspense, useState } from "react";
import { job as address, send } from "../../api/client";
import { queries } from "../../api/queries";
import type { Job, Receipt } from "../../api/schema";
import { useMay } from "../../app/may";
import { Dialog } from "../../parts/Dialog";
import { Reason } from "../../parts/Reason";
import { Copy, JobLink, Json, Lasted, State, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { ENDED } from "../../words/states";
import { Acts } from "./Acts";
import { CopyAs } from "./CopyAs";
import { Entries } from "./Entries";
import { FewFiles, Files } from "./Files";
import "./job.css";
import { Numbers } from "./Numbers";
import { Related } from "./Related";
import { Waterfall } from "./Waterfall";

const Logs = lazy(() => import("./logs/Logs"));
const Past = lazy(() => import("./Past"));
const Chemistry = lazy(() => import("./chemistry/Chemistry"));

const route = getRouteApi("/jobs/$id");

/** Files that are shown as molecules. */
const isMolecular = (job: Job) =>
  (job.outputs as { artifacts?: { name: string }[] } | null)?.artifacts?.some(({ name }) => /\.xyz$|^xtbopt\.log$|^g98\.out$/.test(name)) ?? false;

export function JobPage() {
  const { id } = route.useParams();
  const job = useQuery(queries.job(id));
  if (job.error) return <Trouble error={job.error} />;
  if (!job.data) return <p>Loading…</p>;
  return <Known key={id} job={job.data} />;
}

function Known({ job }: { job: Job }) {
  const navigate = useNavigate();
  const search = route.useSearch();
  const show = (search: Record<string, string>) => void navigate({ to: "/jobs/$id", params: { id: job.id }, search, replace: true });
  const why = useQuery(queries.why(job.id));
  const molecular = isMolecular(job);
  const tab = search.tab ?? (molecular ? "molecule" : "waterfall");
  return (
    <article>
      <div className="row">
        <h1 className="mono">{job.id}</h1>
        <Copy text={job.id} what="id" />
        <span className="grow" />
        <CopyAs job={job} />
        <Actions job={job} />
      </div>
      <p className="because">
        <State state={job.state} status={job.status} /> <span className="theirs" data-testid="why">{why.data?.reason}</span>
      </p>
      {job.error && (
        <div className="problem theirs">
          <b>{job.error.code}</b>: {job.error.message}
        </div>
      )}
      {job.parked && <div className="problem">The rows do not have all of this job: {job.parked}</div>}
      <div className="row facts">
        <span>
          <span className="dim">module</span> <span className="theirs">{job.module} {job.module_version}</span>
        </span>
        <span>
          <span className="dim">owner</span> <span className="theirs">{job.user_id}</span>
        </span>
        <span>
          <span className="dim">submitted</span> <When at={job.created_at} exact />
        </span>
        <span>
          <span className="dim">ran</span> <Lasted from={job.started_at} to={job.ended_at} running={job.state === "running"} />
        </span>
        <span>
          <span className="dim">attempt</span> {job.attempt} <span className="dim">priority</span> {job.priority}
        </span>
        <span>
          <span className="dim">worker</span> {job.worker_id ?? "–"}
        </span>
        {Object.entries(job.labels ?? {}).map(([name, value]) => (
          <Link key={name} to="/jobs" search={{ label: `${name}=${value}` }} className="theirs">
            {name}={value}
          </Link>
        ))}
      </div>
      <Numbers outputs={job.outputs} />
      {job.state === "succeeded" && <FewFiles job={job} all={() => show({ tab: "files" })} />}
      <Tabs value={tab} onChange={(next) => show({ tab: next ?? "" })} keepMounted={false}>
        <Tabs.List aria-label="About this job">
          {molecular && <Tabs.Tab value="molecule">Molecule</Tabs.Tab>}
          <Tabs.Tab value="waterfall">Waterfall</Tabs.Tab>
          <Tabs.Tab value="logs">Logs</Tabs.Tab>
          <Tabs.Tab value="files">Files</Tabs.Tab>
          <Tabs.Tab value="inputs">Inputs</Tabs.Tab>
          <Tabs.Tab value="result">Result</Tabs.Tab>
          <Tabs.Tab value="events">Events</Tabs.Tab>
          <Tabs.Tab value="past">State at</Tabs.Tab>
          <Tabs.Tab value="related">Related</Tabs.Tab>
        </Tabs.List>
        <Suspense fallback={<p>Loading…</p>}>
          <Tabs.Panel value="molecule">{molecular && <Chemistry job={job} />}</Tabs.Panel>
          <Tabs.Panel value="waterfall">{why.error ? <Trouble error={why.error} /> : why.data && <Waterfall why={why.data} rows={job.n as number} stateAt={(frame) => show({ tab: "past", frame: String(frame) })} />}</Tabs.Panel>
          <Tabs.Panel value="logs"><Logs id={job.id} ended={ENDED.has(job.state)} first={search.find ?? ""} found={(find) => show({ tab: "logs", ...(find && { find }) })} /></Tabs.Panel>
          <Tabs.Panel value="files"><Files job={job} /></Tabs.Panel>
          <Tabs.Panel value="inputs">
            <Json value={job.inputs} label="inputs" />
            <h2>Resources</h2>
            <Json value={{ requested: job.requested_resources, reserved: job.reserved_resources }} label="resources" />
          </Tabs.Panel>
          <Tabs.Panel value="result"><Json value={job.outputs} label="result" /></Tabs.Panel>
          <Tabs.Panel value="events"><Entries id={job.id} /><Acts id={job.id} /></Tabs.Panel>
          <Tabs.Panel value="past"><Past id={job.id} frame={search.frame} show={(frame) => show({ tab: "past", frame })} /></Tabs.Panel>
          <Tabs.Panel value="related"><Related job={job} blocked={why.data?.blocked_by ?? null} /></Tabs.Panel>
        </Suspense>
      </Tabs>
    </article>
  );
}

/** What may be done with it, by what it is and what the token is for. */
function Actions({ job }: { job: Job }) {
  const cache = useQueryClient();
  const may = useMay();
  const [asking, setAsking] = useState<"cancel" | "retry" | null>(null);
  const [reason, setReason] = useState("");
  const act = useMutation({
    mutationFn: (what: "cancel" | "retry" | "submit") => send<Receipt>("POST", `${address(job.id)}/${what}`, { reason }),
    onSuccess: () => {
      setAsking(null);
      setReason("");
      void cache.invalidateQueries({ queryKey: ["job", job.id] });
      void cache.invalidateQueries({ queryKey: ["why", job.id] });
    },
  });
  if (!may("submit_job")) return null;
  const ended = ENDED.has(job.state);
  const another = act.variables === "retry" ? act.data?.job_id : undefined;
  return (
    <>
      <Link to="/new/$module" params={{ module: job.module }} search={{ from: job.id }}>
        Run again with changes
      </Link>
      {ended && (
        <Button size="compact-sm" variant="default" loading={act.isPending} onClick={() => setAsking("retry")}>
          Run again…
        </Button>
      )}
      {job.state === "draft" && (
        <Button size="compact-sm" loading={act.isPending} onClick={() => act.mutate("submit")}>
          Submit
        </Button>
      )}
      {!ended && (
        <Button size="compact-sm" color="red" variant="outline" onClick={() => setAsking("cancel")}>
          Cancel…
        </Button>
      )}
      {another && (
        <span role="status">
          runs as <JobLink id={another} />
        </span>
      )}
      <Dialog open={asking !== null} onClose={() => setAsking(null)} title={asking === "retry" ? "Run this job again?" : "Cancel this job?"}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (asking) act.mutate(asking);
          }}
        >
          <p>
            {asking === "retry"
              ? "It is submitted once more as it was, by your own limits. This one stays."
              : "It ends at once, whatever it is doing; a running attempt is killed. This one job is hit."}
          </p>
          <Reason reason={reason} set={setReason} />
          <Button type="submit" color={asking === "retry" ? undefined : "red"} loading={act.isPending}>
            {asking === "retry" ? "Run again" : "Cancel the job"}
          </Button>
        </form>
        {act.error && <Trouble error={act.error} />}
      </Dialog>
      {act.error && !asking && <Trouble error={act.error} />}
    </>
  );
}
