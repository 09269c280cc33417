/** Molecules in the XYZ format, as far as they are looked at and checked here. The server's own reading decides. */
export type Atom = { element: string; x: number; y: number; z: number };
export type Fault = { line: number; detail: string };

export const ELEMENTS = (
  "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe " +
  "Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
).split(" ");

const KNOWN = new Map(ELEMENTS.map((element, place) => [element.toLowerCase(), place + 1]));

/** What is plainly wrong with `text`, by its lines, so that it is said while somebody types. */
export function read(text: string): { atoms: Atom[]; faults: Fault[] } {
  const lines = text.split(/\r?\n/);
  const faults: Fault[] = [];
  const atoms: Atom[] = [];
  const count = Number(lines[0]?.trim());
  if (!/^\s*\d+\s*$/.test(lines[0] ?? "") || count < 1) {
    faults.push({ line: 1, detail: "the number of atoms has to stand here" });
    return { atoms, faults };
  }
  for (let place = 0; place < count; place++) {
    const line = lines[place + 2]?.trim() ?? "";
    const [symbol = "", ...numbers] = line.split(/\s+/);
    if (line === "") {
      faults.push({ line: place + 3, detail: `${count} atoms are announced, and ${place} are there` });
      break;
    }
    const element = /^\d+$/.test(symbol) ? ELEMENTS[Number(symbol) - 1] : ELEMENTS[(KNOWN.get(symbol.toLowerCase()) ?? 0) - 1];
    const [x, y, z] = numbers.map(Number);
    if (element === undefined) faults.push({ line: place + 3, detail: `"${symbol.slice(0, 20)}" is no element` });
    else if (x === undefined || y === undefined || z === undefined || ![x, y, z].every(Number.isFinite)) {
      faults.push({ line: place + 3, detail: "three coordinates have to stand behind the element, with points and not commas" });
    } else atoms.push({ element, x, y, z });
    if (faults.length > 20) break;
  }
  const rest = lines.slice(count + 2).findIndex((line) => line.trim() !== "");
  if (rest >= 0) faults.push({ line: count + 3 + rest, detail: `more lines than the ${count} atoms that are announced` });
  return { atoms, faults };
}

export const write = (atoms: Atom[], comment: string): string =>
  `${atoms.length}\n${comment.replace(/[\r\n]/g, " ")}\n${atoms.map(({ element, x, y, z }) => `${element.padEnd(2)} ${[x, y, z].map((part) => part.toFixed(6).padStart(12)).join(" ")}`).join("\n")}\n`;

/** Each frame of a trajectory as a text of its own. */
export function frames(text: string): string[] {
  const lines = text.split(/\r?\n/);
  const found: string[] = [];
  for (let at = 0; at < lines.length; ) {
    const count = Number(lines[at]?.trim());
    if (!Number.isInteger(count) || count < 1 || lines.length < at + count + 2) break;
    found.push(`${lines.slice(at, at + count + 2).join("\n")}\n`);
    at += count + 2;
  }
  return found;
}

/** Counted as chemists write it: carbon, hydrogen, then by the alphabet. */
export function formula(atoms: Atom[]): string {
  const counts = new Map<string, number>();
  for (const { element } of atoms) counts.set(element, (counts.get(element) ?? 0) + 1);
  const order = [...counts.keys()].sort((one, other) => {
    const rank = (element: string) => (!counts.has("C") ? 2 : element === "C" ? 0 : element === "H" ? 1 : 2);
    return rank(one) - rank(other) || one.localeCompare(other);
  });
  return order.map((element) => element + (counts.get(element) === 1 ? "" : counts.get(element))).join("");
}
