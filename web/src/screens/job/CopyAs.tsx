import { useState } from "react";
import { stringify } from "../../api/exact";
import type { Job } from "../../api/schema";
import { Copy } from "../../parts/Shown";
import { Dialog } from "../../parts/Dialog";

/** Within single quotes of a shell. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

/** The job as somebody would submit it again. No token is in it. */
export function commands(job: Job, url: string): Record<string, string> {
  const body = { module: job.module, inputs: job.inputs, requested_resources: job.requested_resources, priority: job.priority, ...(job.labels && { labels: job.labels }) };
  const inputs = stringify(job.inputs);
  return {
    curl: `curl -fsS -H "Authorization: Bearer $NOX_TOKEN" -H 'Content-Type: application/json' \\\n  ${url}/jobs -d ${quoted(stringify(body))}`,
    noxctl: `printf %s ${quoted(inputs)} | noxctl --url ${url} job submit ${quoted(job.module)} --input -`,
    Python: [
      "import json",
      "from nox_client import Client  # the token is in NOX_TOKEN",
      `with Client(${JSON.stringify(url)}) as nox:`,
      `    job = nox.run(${JSON.stringify(job.module)}, json.loads(${stringify(inputs)}))`,
      "    print(job.result())",
    ].join("\n"),
  };
}

export function CopyAs({ job }: { job: Job }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <button type="button" className="plain-button" onClick={() => setOpen(true)}>
        Copy as…
      </button>
      <Dialog open={open} onClose={() => setOpen(false)} title="The same job, typed">
        {Object.entries(commands(job, location.origin)).map(([name, text]) => (
          <section key={name}>
            <Copy text={text} what={name} />
            <pre className="json mono theirs" tabIndex={0}>
              {text.slice(0, 4000)}
            </pre>
          </section>
        ))}
      </Dialog>
    </>
  );
}
