import { useQuery } from "@tanstack/react-query";
import { queries } from "../../api/queries";
import type { QuotaAccount } from "../../api/schema";
import { useMay } from "../../app/may";
import { JobLink, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";
import "../new/new.css";
import { Change } from "./Change";

/** The API's word for no limit. */
const UNLIMITED = 4294967295;

const amount = (value: number) => (value === UNLIMITED ? "no limit" : value.toLocaleString());

/** What may be used, what is, and what was refused. */
export function Quotas() {
  const accounts = useQuery(queries.usage());
  const violations = useQuery(queries.violations());
  const ledger = useQuery(queries.ledger());
  const me = useQuery(queries.me());
  const may = useMay();
  return (
    <>
      <h1>Quotas</h1>
      {accounts.error && <Trouble error={accounts.error} />}
      {accounts.data?.accounts.length === 0 && <p>No account yet: the first job makes it.</p>}
      {accounts.data?.accounts.map((account) => (
        <Account key={account.account} account={account} change={may("set_quotas") && !!me.data?.is_admin && (account.user_id !== null || me.data.tenant === "default")} />
      ))}
      <h2>Refused last</h2>
      {violations.error && <Trouble error={violations.error} />}
      {violations.data?.violations.length === 0 && <p className="dim">Nothing.</p>}
      <table className="plain">
        <tbody>
          {violations.data?.violations.map((violation, place) => (
            <tr key={place}>
              <td>
                <When at={violation.at} />
              </td>
              <td>{violation.code}</td>
              <td className="theirs">{violation.quota_type}</td>
              <td className="number">
                {violation.requested?.toLocaleString() ?? "–"} asked, {violation.current_usage?.toLocaleString() ?? "–"} of {violation.limit?.toLocaleString() ?? "–"} used
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      <h2>What my jobs reserved, in core seconds</h2>
      {ledger.error && <Trouble error={ledger.error} />}
      <table className="plain">
        <thead>
          <tr>
            <th>Job</th>
            <th className="number">Reservation</th>
            <th className="number">Reserved</th>
            <th className="number">Used</th>
            <th className="number">Given back</th>
            <th className="number">Beyond</th>
          </tr>
        </thead>
        <tbody>
          {ledger.data?.ledger.map((line) => (
            <tr key={`${line.job_id} ${line.period}`}>
              <td>
                <JobLink id={line.job_id} />
              </td>
              {[line.reservation, line.reserved, line.used, line.released, line.overrun].map((value, place) => (
                <td key={place} className="number">
                  {value.toLocaleString()}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Account({ account: whole, change: mayChange }: { account: QuotaAccount; change: boolean }) {
  const { account, role, usage, limits, change } = whole;
  return (
    <section className="card">
      <span className="theirs">
        {account} {role && (!change || change.reset) && <span className="dim">limits of the role {role}</span>} {mayChange && <Change account={whole} />}
      </span>
      {change && (
        <p className="dim theirs">
          {change.reset ? "set back" : "set"} by {change.by}: {change.reason}
        </p>
      )}
      <table className="plain">
        <tbody>
          {usage.map((each) => (
            <tr key={each.quota_type}>
              <th scope="row">{each.quota_type.replaceAll("_", " ")}</th>
              <td>
                <meter aria-label={each.quota_type} min={0} max={Math.max(each.limit, 1)} value={each.current_usage} />
              </td>
              <td className="number">
                {amount(each.current_usage)} of {amount(each.limit)}
              </td>
            </tr>
          ))}
          <tr>
            <th scope="row">one job at most</th>
            <td colSpan={2}>
              {limits.cpu} cores, {limits.mem_mb.toLocaleString()} MiB
            </td>
          </tr>
          <tr>
            <th scope="row">starts a minute, drafts</th>
            <td colSpan={2}>
              {amount(limits.starts_per_minute)}, {amount(limits.drafts)}
            </td>
          </tr>
        </tbody>
      </table>
    </section>
  );
}
