import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Fragment, useState } from "react";
import { queries } from "../../api/queries";
import { useMay } from "../../app/may";
import { Act } from "../../parts/Act";
import { Hit } from "../../parts/Hit";
import { Json, When } from "../../parts/Shown";
import { Trouble } from "../../parts/Trouble";

/** What can be run. */
export function Modules() {
  const modules = useQuery(queries.modules());
  const may = useMay();
  const me = useQuery(queries.me());
  const [open, setOpen] = useState("");
  const operator = me.data?.is_admin && me.data.tenant === "default" && may("disable_module");
  if (modules.error) return <Trouble error={modules.error} />;
  return (
    <>
      <h1>Modules</h1>
      <table className="plain">
        <thead>
          <tr>
            <th>Name</th>
            <th>Version</th>
            <th>What it does</th>
            <th>Asks for</th>
            <th>From</th>
            <th>State</th>
            <th />
          </tr>
        </thead>
        <tbody>
          {modules.data?.modules.map((module) => (
            <Fragment key={module.name}>
              <tr>
                <td>
                  <Link to="/new/$module" params={{ module: module.name }} search={{}} className="theirs">
                    {module.name}
                  </Link>
                </td>
                <td className="theirs">
                  {module.version}
                  {module.versions.length > 1 && <span className="dim"> and {module.versions.length - 1} before</span>}
                </td>
                <td className="theirs">{module.title}</td>
                <td>
                  {module.caps.resources.cpu} cores, {module.caps.resources.mem_mb} MiB, {module.caps.resources.wall_time_s} s
                </td>
                <td className="theirs">{module.registered ? <>{module.registered.by} <When at={module.registered.at} /></> : "its workers"}</td>
                <td>{module.enabled ? "enabled" : <b>disabled</b>}</td>
                <td className="row">
                  <button type="button" className="plain-button" aria-expanded={open === module.name} onClick={() => setOpen(open === module.name ? "" : module.name)}>
                    Schema
                  </button>
                  <Link to="/jobs" search={{ module: module.name }}>
                    Jobs
                  </Link>
                  {operator && (
                    <Act
                      name={module.enabled ? "Disable" : "Enable"}
                      harmless={!module.enabled}
                      says={
                        <>
                          {module.enabled ? `${module.name} takes no new jobs and starts none, for every tenant. What runs goes on.` : `${module.name} takes jobs and starts them again.`}
                          <Hit filter={{ module: module.name }} />
                        </>
                      }
                      path={`/modules/${encodeURIComponent(module.name)}/${module.enabled ? "disable" : "enable"}`}
                      stale={["modules"]}
                    />
                  )}
                </td>
              </tr>
              {open === module.name && (
                <tr>
                  <td colSpan={7}>
                    <Json value={module.schema} label={`schema of ${module.name}`} />
                  </td>
                </tr>
              )}
            </Fragment>
          ))}
        </tbody>
      </table>
    </>
  );
}
