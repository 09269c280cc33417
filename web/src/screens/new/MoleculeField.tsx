import { Button, Textarea } from "@mantine/core";
import { useMutation } from "@tanstack/react-query";
import { lazy, Suspense, useDeferredValue, useMemo, useState } from "react";
import { formula, read, write } from "../../parts/molecule/xyz";

const Molecule = lazy(() => import("../../parts/molecule/Molecule"));
const Draw = lazy(() => import("../../parts/molecule/Draw"));

const WATER = "3\nwater\nO   0.000000   0.000000   0.117000\nH   0.000000   0.757000  -0.471000\nH   0.000000  -0.757000  -0.471000\n";

const EXAMPLES: [string, string][] = [
  ["Ethanol", "CCO"],
  ["Benzene", "c1ccccc1"],
  ["Caffeine", "CN1C=NC2=C1C(=O)N(C)C(=O)N2C"],
];

type Props = { value: string; set: (text: string) => void; label: string; description?: string | undefined; error?: string | undefined };

/** A molecule as text, as a drawing, and in 3D. What is in the text is what is sent. */
export function MoleculeField({ value, set, label, description, error }: Props) {
  const [drawing, setDrawing] = useState(false);
  const shown = useDeferredValue(value);
  const { atoms, faults } = useMemo(() => read(shown), [shown]);
  // Only what is no XYZ is taken for SMILES or a molfile.
  const foreign = value.trim() !== "" && !/^\s*\d+\s*(\r?\n|$)/.test(value);
  const convert = useMutation({
    mutationFn: async (text: string) => {
      const { embedded } = await import("../../parts/molecule/chemist");
      return write(await embedded(text), text.includes("\n") ? "from a molfile" : text.trim());
    },
    onSuccess: set,
  });
  const drawn = useMutation({
    mutationFn: async (molecule: import("openchemlib").Molecule) => {
      const { relaxed } = await import("../../parts/molecule/chemist");
      return write(await relaxed(molecule), molecule.toSmiles());
    },
    onSuccess: set,
  });
  const fault = convert.error ?? drawn.error;
  const own = foreign ? "" : faults.map(({ line, detail }) => `line ${line}: ${detail}`).slice(0, 3).join("; ");

  return (
    <div className="molecule-field">
      <div>
        <Textarea
          label={label}
          description={`${description ?? ""} SMILES and molfiles are turned into it.`}
          error={error ?? (value === "" ? undefined : own || undefined)}
          required
          value={value}
          onChange={(event) => set(event.currentTarget.value)}
          classNames={{ input: "mono" }}
          rows={14}
          spellCheck={false}
          placeholder={"paste xyz, SMILES or a molfile"}
        />
        <div className="row below">
          {foreign && (
            <Button size="compact-sm" loading={convert.isPending} onClick={() => convert.mutate(value)}>
              Make 3D coordinates
            </Button>
          )}
          <Button size="compact-sm" variant="default" onClick={() => setDrawing(!drawing)} aria-expanded={drawing}>
            Draw
          </Button>
          <span className="dim">Examples:</span>
          <Button size="compact-sm" variant="default" onClick={() => set(WATER)}>
            Water
          </Button>
          {EXAMPLES.map(([name, smiles]) => (
            <Button key={name} size="compact-sm" variant="default" disabled={convert.isPending} onClick={() => convert.mutate(smiles)}>
              {name}
            </Button>
          ))}
        </div>
        {fault && (
          <p className="problem theirs" role="alert">
            {String((fault as Error).message ?? fault)}
          </p>
        )}
      </div>
      <div>
        {drawing && (
          <Suspense fallback={<p>Loading…</p>}>
            <Draw changed={(molecule) => drawn.mutate(molecule)} />
          </Suspense>
        )}
        {atoms.length > 0 && faults.length === 0 && (
          <Suspense fallback={<div className="molecule">Loading…</div>}>
            <Molecule shown={{ kind: "still", xyz: shown }} label={formula(atoms)} />
            <p className="dim">
              {formula(atoms)}, {atoms.length} atoms
            </p>
          </Suspense>
        )}
      </div>
    </div>
  );
}
