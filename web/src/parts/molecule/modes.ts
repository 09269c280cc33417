/** Normal modes out of a file in the form of Gaussian 98, as xtb writes g98.out. */
import { ELEMENTS, type Atom } from "./xyz";

export type Mode = { frequency: number; intensity: number; moves: [number, number, number][] };

export function modes(text: string): { atoms: Atom[]; modes: Mode[] } {
  const lines = text.split(/\r?\n/);
  const atoms: Atom[] = [];
  const found: Mode[] = [];
  let group: Mode[] = [];
  let geometry = false;
  let rows = false;
  for (const line of lines) {
    const numbers = line.trim().split(/\s+/).map(Number);
    if (line.includes("Standard orientation")) geometry = true;
    else if (line.startsWith(" Frequencies --")) {
      geometry = rows = false;
      group = behind(line).map((frequency) => ({ frequency, intensity: 0, moves: [] }));
      found.push(...group);
    } else if (line.startsWith(" IR Inten")) {
      behind(line).forEach((intensity, place) => group[place] && (group[place].intensity = intensity));
    } else if (/^\s*Atom AN/.test(line)) rows = true;
    else if (geometry && numbers.length === 6 && numbers.every(Number.isFinite)) {
      const [, number = 0, , x = 0, y = 0, z = 0] = numbers;
      atoms.push({ element: ELEMENTS[number - 1] ?? "X", x, y, z });
    } else if (rows && numbers.length === 2 + 3 * group.length && numbers.every(Number.isFinite)) {
      group.forEach((mode, place) => mode.moves.push([numbers[2 + 3 * place] ?? 0, numbers[3 + 3 * place] ?? 0, numbers[4 + 3 * place] ?? 0]));
    } else if (rows) rows = false;
  }
  return { atoms, modes: found.filter(({ moves }) => moves.length === atoms.length) };
}

const behind = (line: string) => (line.split("--")[1] ?? "").trim().split(/\s+/).map(Number);

/** The geometry with the moves of `mode` behind each atom, which viewers animate. */
export const moving = (atoms: Atom[], mode: Mode): string =>
  `${atoms.length}\n${mode.frequency} cm-1\n${atoms.map(({ element, x, y, z }, place) => [element, x, y, z, ...(mode.moves[place] ?? [0, 0, 0])].join(" ")).join("\n")}\n`;
