import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { queries } from "../../api/queries";
import { When } from "../../parts/Shown";

/** Who did what to this job, and why. */
export function Acts({ id }: { id: string }) {
  const acts = useQuery(queries.acts(id));
  const me = useQuery(queries.me());
  return (
    <>
      <h2>
        Who did what {me.data?.is_admin && <Link to="/audit" search={{ job_id: id }}>in the audit</Link>}
      </h2>
      {acts.data?.acts.length === 0 && <p className="dim">Nothing is recorded.</p>}
      {acts.error && <p className="dim">Not told by this server.</p>}
      <table className="plain">
        <tbody>
          {acts.data?.acts.map((act) => (
            <tr key={act.id}>
              <td>
                <When at={act.at} exact />
              </td>
              <td className="theirs">{act.user_id ?? "the system"}</td>
              <td>{act.verb}</td>
              <td>{act.outcome === "done" ? "done" : `refused: ${act.code ?? ""}`}</td>
              <td className="theirs" data-reason>{act.reason}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}
