import type { Job } from "../../api/schema";
import { FIRST, named } from "../../words/units";

/** Values of the result, those that are asked for first in front. The digits are the program's. */
export function Numbers({ outputs }: { outputs: Job["outputs"] }) {
  const scalars = (outputs as { scalars?: Record<string, unknown> } | null)?.scalars ?? {};
  const names = Object.keys(scalars);
  if (names.length === 0) return null;
  const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  names.sort((one, other) => rank(one) - rank(other));
  const few = names.filter((name) => rank(name) < FIRST.length);
  const shown = few.length > 0 ? few : names.slice(0, 8);
  const rest = names.filter((name) => !shown.includes(name));
  return (
    <section aria-label="Key numbers">
      <div className="cards">
        {shown.map((name) => (
          <Card key={name} name={name} value={scalars[name]} />
        ))}
      </div>
      {rest.length > 0 && (
        <details>
          <summary>{rest.length} more</summary>
          <table className="plain">
            <tbody>
              {rest.map((name) => (
                <tr key={name}>
                  <th scope="row" className="theirs">{named(name).name}</th>
                  <td className="number mono theirs">{String(scalars[name])}</td>
                  <td>{named(name).unit}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </details>
      )}
    </section>
  );
}

function Card({ name, value }: { name: string; value: unknown }) {
  const { name: bare, unit } = named(name);
  return (
    <div className="card" data-scalar={name}>
      <span className="dim theirs">{bare}</span>
      <b className="theirs">
        {String(value).slice(0, 60)} <small className="dim">{unit}</small>
      </b>
    </div>
  );
}
