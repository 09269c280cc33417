/**
 * From what chemists write to coordinates, in the browser: SMILES and molfiles by OpenChemLib, which is loaded with this
 * file. It knows organic chemistry; for metals and crystals there is XYZ.
 */
import { ConformerGenerator, ForceFieldMMFF94, Molecule, Resources } from "openchemlib";
import resources from "../../../node_modules/openchemlib/dist/resources.json?url";
import type { Atom } from "./xyz";

let loaded: Promise<void> | null = null;

/** Torsions and force field, which a structure in three dimensions needs. */
const ready = () => (loaded ??= Resources.registerFromUrl(resources));

/** The same start each time, so that the same text has the same geometry. */
const SEED = 42;

export type Kind = "xyz" | "mol" | "smiles";

export const kindOf = (text: string): Kind =>
  /^\s*\d+\s*(\r?\n|$)/.test(text) ? "xyz" : /V[23]000/.test(text) ? "mol" : "smiles";

/** Relaxed coordinates, hydrogens included. */
export async function embedded(text: string): Promise<Atom[]> {
  await ready();
  const kind = kindOf(text);
  const molecule = kind === "mol" ? Molecule.fromMolfile(text) : Molecule.fromSmiles(text.trim());
  return relaxed(molecule);
}

export async function relaxed(given: Molecule): Promise<Atom[]> {
  await ready();
  const molecule = given.getCompactCopy();
  if (molecule.getAllAtoms() === 0) throw new Error("there is no atom in it");
  molecule.addImplicitHydrogens();
  const conformer = molecule.getAllAtoms() === 1 ? molecule : new ConformerGenerator(SEED).getOneConformerAsMolecule(molecule);
  if (!conformer) throw new Error("no geometry was found for this structure");
  if (conformer.getAllAtoms() > 1) {
    try {
      new ForceFieldMMFF94(conformer, ForceFieldMMFF94.MMFF94SPLUS).minimise({ maxIts: 2000 });
    } catch {
      // Elements that MMFF94 does not have: the conformer stands as it was found, and xtb optimizes it.
    }
  }
  const atoms: Atom[] = [];
  for (let at = 0; at < conformer.getAllAtoms(); at++) {
    atoms.push({ element: conformer.getAtomLabel(at), x: conformer.getAtomX(at), y: -conformer.getAtomY(at), z: -conformer.getAtomZ(at) });
  }
  return atoms;
}
