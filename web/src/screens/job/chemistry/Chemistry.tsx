import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useEffect, useMemo, useState } from "react";
import { queries } from "../../../api/queries";
import type { Job } from "../../../api/schema";
import { modes, moving } from "../../../parts/molecule/modes";
import type { Shown } from "../../../parts/molecule/Molecule";
import { frames } from "../../../parts/molecule/xyz";
import { Trouble } from "../../../parts/Trouble";
import { download } from "../Files";
import "./chemistry.css";

const Molecule = lazy(() => import("../../../parts/molecule/Molecule"));
const Plot = lazy(() => import("../../../parts/plot/Plot"));

/** A larger file is downloaded and not shown. */
const SHOWN_BYTES_MAX = 32 * 1024 * 1024;

type Outputs = { artifacts?: { name: string; size: number }[]; series?: Record<string, number[]> };

/** What came of a computation on a molecule: geometry, the way there, vibrations. */
export default function Chemistry({ job }: { job: Job }) {
  const outputs = (job.outputs ?? {}) as Outputs;
  const file = (pattern: RegExp) =>
    outputs.artifacts?.find(({ name, size }) => pattern.test(name) && size <= SHOWN_BYTES_MAX)?.name;
  const names = { geometry: file(/^xtbopt\.xyz$/) ?? file(/\.xyz$/), trajectory: file(/^xtbopt\.log$|traj.*\.xyz$/), modes: file(/^g98\.out$/) };
  const geometry = useText(job.id, names.geometry);
  const trajectory = useText(job.id, names.trajectory);
  const normal = useText(job.id, names.modes);
  const given = (job.inputs as { xyz?: unknown } | null)?.xyz;

  const steps = useMemo(() => frames(trajectory.data ?? ""), [trajectory.data]);
  const vibrations = useMemo(() => modes(normal.data ?? ""), [normal.data]);
  const still = geometry.data ?? (typeof given === "string" ? given : undefined);
  const [view, setView] = useState<"geometry" | "trajectory" | number>("geometry");
  const [step, setStep] = useState<number | null>(null);
  useEffect(() => setView("geometry"), [job.id]);

  const mode = typeof view === "number" ? vibrations.modes[view] : undefined;
  const shown: Shown | null = mode
    ? { kind: "vibration", xyz: moving(vibrations.atoms, mode) }
    : view === "trajectory" && trajectory.data
      ? { kind: "frames", xyz: trajectory.data, frame: step }
      : still
        ? { kind: "still", xyz: still }
        : null;
  const energies = outputs.series?.opt_energy_hartree ?? [];

  return (
    <section className="chemistry">
      <div>
        <div className="row" role="group" aria-label="What is shown">
          <Choice on={view === "geometry"} choose={() => setView("geometry")}>
            {geometry.data ? "Geometry" : "Geometry that went in"}
          </Choice>
          {steps.length > 1 && (
            <Choice
              on={view === "trajectory"}
              choose={() => {
                setStep(null);
                setView("trajectory");
              }}
            >
              Trajectory ({steps.length})
            </Choice>
          )}
          {mode && <span data-testid="mode">{mode.frequency.toFixed(1)} cm⁻¹</span>}
          {names.geometry && (
            <button type="button" className="plain-button link" onClick={() => void download(job.id, names.geometry ?? "")}>
              {names.geometry}
            </button>
          )}
        </div>
        {[geometry, trajectory, normal].map((each, place) => each.error && <Trouble key={place} error={each.error} />)}
        <Suspense fallback={<div className="molecule">Loading…</div>}>
          {shown && <Molecule shown={shown} label={mode ? `vibration at ${mode.frequency} cm⁻¹` : "molecule"} />}
        </Suspense>
        {view === "trajectory" && (
          <div className="row">
            <button type="button" className="facet" onClick={() => setStep(step === null ? 0 : null)}>
              {step === null ? "Hold" : "Play"}
            </button>
            <input
              type="range"
              aria-label="Step"
              min={0}
              max={steps.length - 1}
              value={step ?? 0}
              onChange={(event) => setStep(Number(event.currentTarget.value))}
            />
            <span className="mono theirs">{step !== null && `${step + 1}: ${steps[step]?.split("\n")[1]?.trim() ?? ""}`}</span>
          </div>
        )}
      </div>
      <div>
        {energies.length > 1 && (
          <>
            <h2>Energy</h2>
            <Suspense fallback={null}>
              <Plot
                values={energies}
                name="energy"
                unit="E_h"
                pick={(at) => {
                  if (view === "trajectory") setStep(at);
                }}
              />
            </Suspense>
          </>
        )}
        {vibrations.modes.length > 0 && (
          <>
            <h2>Vibrations</h2>
            <div className="modes">
              <table className="plain">
                <thead>
                  <tr>
                    <th className="number">cm⁻¹</th>
                    <th className="number">IR km/mol</th>
                    <th />
                  </tr>
                </thead>
                <tbody>
                  {vibrations.modes.map(({ frequency, intensity }, place) => (
                    <tr key={place} data-changed={view === place || undefined}>
                      <td className="number">{frequency.toFixed(1)}{frequency < 0 && " (imaginary)"}</td>
                      <td className="number">{intensity.toFixed(1)}</td>
                      <td>
                        <button type="button" className="facet" aria-pressed={view === place} onClick={() => setView(view === place ? "geometry" : place)}>
                          {view === place ? "Hold" : "Animate"}
                        </button>
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          </>
        )}
      </div>
    </section>
  );
}

function useText(id: string, name: string | undefined) {
  return useQuery({ ...queries.text(id, name ?? ""), enabled: name !== undefined });
}

function Choice({ on, choose, children }: { on: boolean; choose: () => void; children: React.ReactNode }) {
  return (
    <button type="button" className="facet" aria-pressed={on} onClick={choose}>
      {children}
    </button>
  );
}
