/** A scalar's name says its unit, last, as modules/xtb writes them. */
const UNITS: [RegExp, string][] = [
  [/_hartree_bohr$/, "E_h/a₀"],
  [/_hartree$/, "E_h"],
  [/_eV$/, "eV"],
  [/_D$/, "D"],
  [/_cm1$/, "cm⁻¹"],
  [/_km_mol$/, "km/mol"],
  [/_amu$/, "u"],
  [/_e$/, "e"],
  [/_s$/, "s"],
  [/_mb$/, "MiB"],
];

export function named(name: string): { name: string; unit: string } {
  const known = UNITS.find(([ending]) => ending.test(name));
  const bare = known ? name.replace(known[0], "") : name;
  return { name: bare.replaceAll("_", " "), unit: known?.[1] ?? "" };
}

/** What a chemist asks for first. */
export const FIRST = ["formula", "method", "E_total_hartree", "gap_eV", "dipole_D", "G_total_hartree", "imaginary_frequencies", "opt_steps"];
