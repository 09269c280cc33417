import { useMutation, useQuery } from "@tanstack/react-query";
import { artifact, ask } from "../../api/client";
import { queries } from "../../api/queries";
import type { Job } from "../../api/schema";
import { save } from "../../parts/save";
import { Copy } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import { bytes } from "../../words/times";

/** A link cannot carry a token, so the file is fetched and handed to the browser. */
export async function download(id: string, name: string) {
  const blob = await (await ask("GET", artifact(id, name))).blob();
  save(name.split("/").pop() ?? name, blob.type, blob);
}

export function Files({ job }: { job: Job }) {
  const files = useQuery({ ...queries.artifacts(job.id), enabled: job.state === "succeeded" });
  const fetching = useMutation({ mutationFn: (name: string) => download(job.id, name) });
  if (job.state !== "succeeded") return <p>Files are there when the job has succeeded.</p>;
  if (files.error) return <Trouble error={files.error} />;
  if (!files.data) return <p>Loading…</p>;
  return (
    <>
      {fetching.error && <Trouble error={fetching.error} />}
      <table className="plain">
        <thead>
          <tr>
            <th>Name</th>
            <th>Kind</th>
            <th className="number">Size</th>
            <th>SHA-256</th>
          </tr>
        </thead>
        <tbody>
          {files.data.artifacts.map(({ name, mime, size, sha256 }) => (
            <tr key={name}>
              <td>
                <button type="button" className="plain-button link theirs" onClick={() => fetching.mutate(name)}>
                  {name}
                </button>
              </td>
              <td>{mime}</td>
              <td className="number">{bytes(Number(size))}</td>
              <td className="mono">
                {sha256.slice(0, 12)}… <Copy text={sha256} what="hash" />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

const FEW = 6;

/** The first files of a result, to be had by one click. */
export function FewFiles({ job, all }: { job: Job; all: () => void }) {
  const files = useQuery(queries.artifacts(job.id));
  const fetching = useMutation({ mutationFn: (name: string) => download(job.id, name) });
  const found = files.data?.artifacts ?? [];
  if (found.length === 0) return null;
  return (
    <section className="row few" aria-label="Files">
      {found.slice(0, FEW).map(({ name, size }) => (
        <button key={name} type="button" className="facet theirs" title={`Download ${name}`} onClick={() => fetching.mutate(name)}>
          ⇩ {name} <span className="dim">{bytes(Number(size))}</span>
        </button>
      ))}
      {found.length > FEW && (
        <button type="button" className="plain-button link" onClick={all}>
          all {found.length} files
        </button>
      )}
      {fetching.error && <Trouble error={fetching.error} />}
    </section>
  );
}
