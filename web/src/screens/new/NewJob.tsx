import { Button, NumberInput, TextInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { useRef, useState, type FormEvent } from "react";
import { send } from "../../api/client";
import { Problem } from "../../api/problem";
import { withUploads } from "../../api/upload";
import { queries } from "../../api/queries";
import type { Job, Module, Receipt } from "../../api/schema";
import { useMay } from "../../app/may";
import { Trouble } from "../../parts/Trouble";
import { Field, said } from "./Form";
import "./new.css";
import { useJudged } from "./judged";
import { AMOUNTS, asked, type Amounts } from "./resources";
import { placed, type Schema } from "./schema";

const route = getRouteApi("/new/$module");

/** What a chemist wants most often, already chosen. It is shown, and can be changed. */
const BEGIN: Record<string, unknown> = { xtb: { params: { opt: true, hess: true } } };

export function NewJob() {
  const { module: name } = route.useParams();
  const { from } = route.useSearch();
  const navigate = useNavigate();
  const modules = useQuery(queries.modules());
  const module = useQuery(queries.module(name));
  const earlier = useQuery({ ...queries.job(from ?? ""), enabled: from !== undefined });
  if (module.error ?? earlier.error) return <Trouble error={module.error ?? earlier.error} />;
  if (!module.data || (from !== undefined && !earlier.data)) return <p>Loading…</p>;
  return (
    <>
      <div className="row">
        <h1>New job</h1>
        <label className="dim">
          Module{" "}
          <select value={name} onChange={(event) => void navigate({ to: "/new/$module", params: { module: event.currentTarget.value }, search: {} })}>
            {modules.data?.modules.map((each) => (
              <option key={each.name} value={each.name}>
                {each.name}: {each.title}
              </option>
            ))}
          </select>
        </label>
      </div>
      <Compose key={`${name} ${from ?? ""}`} module={module.data} earlier={earlier.data} />
    </>
  );
}

function Compose({ module, earlier }: { module: Module; earlier: Job | undefined }) {
  const navigate = useNavigate();
  const may = useMay();
  const [inputs, setInputs] = useState<unknown>(earlier?.inputs ?? BEGIN[module.name] ?? {});
  const [label, setLabel] = useState("");
  const [priority, setPriority] = useState<string | number>(earlier?.priority ?? 5);
  // What it was submitted with before, or what the module says.
  const [resources, setResources] = useState<Amounts>({ ...module.caps.resources, ...earlier?.requested_resources });
  const requested_resources = asked(resources);
  // The same click twice is one job, and so is one that is repeated because no answer came.
  const key = useRef<[string, string]>(["", ""]);
  const submit = useMutation({
    mutationFn: async () => {
      const [name, ...value] = label.split("=");
      const body = { inputs: await withUploads(inputs), requested_resources, ...(name && { labels: { ...earlier?.labels, [name]: value.join("=") } }) };
      const text = JSON.stringify([body, priority]);
      if (key.current[0] !== text) key.current = [text, crypto.randomUUID()];
      const headers = { "Idempotency-Key": key.current[1] };
      const again = earlier !== undefined && ["succeeded", "failed", "canceled"].includes(earlier.state);
      return again
        ? send<Receipt>("POST", `/jobs/${earlier.id}/retry`, { body, headers })
        : send<Receipt>("POST", "/jobs", { body: { module: module.name, ...body, priority: Number(priority) }, headers });
    },
    onSuccess: ({ job_id }) => void navigate({ to: "/jobs/$id", params: { id: job_id }, search: {} }),
  });
  const judged = useJudged({ module: module.name, inputs, requested_resources, priority: Number(priority) });
  const problem = submit.error ? Problem.from(submit.error) : null;
  const errors = problem?.errors ?? judged.refused?.errors ?? [];

  function ask(event: FormEvent) {
    event.preventDefault();
    submit.mutate();
  }

  return (
    <form onSubmit={ask} noValidate>
      {earlier && <p className="dim">As job {earlier.id}, with what is changed here.</p>}
      {!module.enabled && <p className="problem">This module is disabled: new jobs are refused.</p>}
      <Field
        schema={module.schema.inputs as Schema}
        path={[]}
        inputs={inputs}
        set={(path, value) => {
          setInputs((before: unknown) => placed(before, path, value));
          // What was refused was another job.
          if (submit.isError) submit.reset();
        }}
        errors={errors}
      />
      <details>
        <summary>Resources, priority and label</summary>
        <div className="members">
          {AMOUNTS.map(({ name, label, unit, min }) => (
            <NumberInput
              key={name}
              label={label}
              description={unit}
              error={said(errors.filter(({ pointer }) => pointer === `/requested_resources/${name}`))}
              min={min}
              allowDecimal={false}
              value={resources[name] ?? ""}
              onChange={(value) => {
                setResources((before) => ({ ...before, [name]: value }));
                if (submit.isError) submit.reset();
              }}
              hideControls
            />
          ))}
          <NumberInput label="priority" min={0} max={9} value={priority} onChange={setPriority} disabled={earlier !== undefined} hideControls />
          <TextInput label="label" description="name=value" value={label} onChange={(event) => setLabel(event.currentTarget.value)} />
        </div>
      </details>
      {problem && <Trouble error={problem} />}
      <p className="dim theirs" role="status" data-testid="judged">
        {judged.taken?.job && (
          <>
            ✓ It would be taken: {judged.taken.job.module} {judged.taken.job.module_version}, which reserves {judged.taken.job.cpu_seconds.toLocaleString()} core seconds.
          </>
        )}
        {judged.refused && !problem && <>✕ It would be refused: {judged.refused.document.detail.slice(0, 300)}</>}
      </p>
      <p>
        <Button type="submit" loading={submit.isPending} disabled={!may("submit_job")}>
          Submit
        </Button>
        {!may("submit_job") && <span className="dim"> this token only reads</span>}
      </p>
    </form>
  );
}
