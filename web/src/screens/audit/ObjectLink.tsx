import { Link } from "@tanstack/react-router";
import type { AuditObject } from "../../api/schema";
import { JobLink } from "../../parts/Shown";

/** What an act is about, and the screen that shows it where there is one. */
export function ObjectLink({ object: { kind, id } }: { object: AuditObject }) {
  if (kind === "job") return <>job <JobLink id={id} /></>;
  if (kind === "schedule" || kind === "webhook") {
    return (
      <>
        {kind}{" "}
        <Link to={kind === "schedule" ? "/schedules/$id" : "/webhooks/$id"} params={{ id }} search={{}} className="mono" title={id}>
          …{id.slice(-12)}
        </Link>
      </>
    );
  }
  return (
    <>
      {kind} <span title={id}>{id.length > 40 ? `${id.slice(0, 40)}…` : id}</span>
    </>
  );
}
