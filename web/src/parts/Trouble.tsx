import { Link } from "@tanstack/react-router";
import { Problem } from "../api/problem";

/** A refusal in the server's own words: what it is, what to do, and how its log calls the request. */
export function Trouble({ error }: { error: unknown }) {
  const { document, errors } = Problem.from(error);
  return (
    <section className="problem" role="alert">
      <b>{document.title}</b> {document.status > 0 && <span className="dim">({document.status})</span>}
      <div className="theirs">{document.detail}</div>
      {errors.length > 0 && (
        <ul>
          {errors.map((each, place) => (
            <li key={place} className="theirs">
              <code>{each.pointer}</code>: {each.detail}
            </li>
          ))}
        </ul>
      )}
      {document.retry_after != null && <div>Again in {document.retry_after} s.</div>}
      {document.type?.startsWith("/v1/problems/") && (
        <a href={document.type} target="_blank" rel="noreferrer">
          What this means
        </a>
      )}{" "}
      {document.request_id && <span className="dim mono">request {document.request_id}</span>}
    </section>
  );
}

export function Nowhere() {
  return (
    <section className="problem" role="alert">
      <b>There is no such screen.</b> <Link to="/jobs" search={{}}>To the jobs</Link>
    </section>
  );
}
