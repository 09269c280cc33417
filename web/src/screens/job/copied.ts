import { stringify } from "../../api/exact";
import type { Job } from "../../api/schema";

/** Within single quotes of a shell. */
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

const given = (members: object | null | undefined) => Object.entries(members ?? {}).filter(([, value]) => value !== null && value !== undefined);

/** The job as somebody would submit it again. No token is in it. */
export function commands(job: Job, url: string): Record<string, string> {
  const labels = given(job.labels);
  const resources = given(job.requested_resources);
  const body = { module: job.module, inputs: job.inputs, requested_resources: job.requested_resources, priority: job.priority, ...(job.labels && { labels: job.labels }) };
  const inputs = stringify(job.inputs);
  const flags = [
    ...resources.map(([name, value]) => `--${name.replaceAll("_", "-")} ${String(value)}`),
    `--priority ${String(job.priority)}`,
    ...labels.map(([name, value]) => `--label ${quoted(`${name}=${String(value)}`)}`),
  ];
  const options = [
    ...(resources.length > 0 ? [`resources=Resources(${resources.map(([name, value]) => `${name}=${String(value)}`).join(", ")})`] : []),
    `priority=${String(job.priority)}`,
    ...(labels.length > 0 ? [`labels=${stringify(job.labels)}`] : []),
  ];
  return {
    curl: `curl -fsS -H "Authorization: Bearer $NOX_TOKEN" -H 'Content-Type: application/json' \\\n  ${url}/jobs -d ${quoted(stringify(body))}`,
    noxctl: `printf %s ${quoted(inputs)} | noxctl --url ${url} job submit ${quoted(job.module)} --input - \\\n  ${flags.join(" ")}`,
    Python: [
      "import json",
      "from nox_client import Client, Options, Resources  # the token is in NOX_TOKEN",
      `with Client(${JSON.stringify(url)}) as nox:`,
      `    options = Options(${options.join(", ")})`,
      `    job = nox.run(${JSON.stringify(job.module)}, json.loads(${stringify(inputs)}), options=options)`,
      "    print(job.result())",
    ].join("\n"),
  };
}
