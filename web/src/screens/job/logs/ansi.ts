/**
 * What a program printed, for people: colours are shown, nothing else is obeyed. A mark stands in the place of every
 * other control character and of those that turn the direction of writing, so that no log can say what it does not.
 */
export type Style = { color?: number; background?: number; bold?: boolean; dim?: boolean; underline?: boolean; inverse?: boolean };
export type Piece = { text: string; style: Style };

const ESCAPE = /\x1b\[([0-9;:]*)([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b[ -/]*[0-~]?/g;
/** C0 but for the tab, DEL, C1, and the directions of Unicode. */
const HIDDEN = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

const mark = (letter: string) => {
  const code = letter.codePointAt(0) ?? 0;
  return code < 0x20 ? String.fromCodePoint(0x2400 + code) : code === 0x7f ? "␡" : `‹${code.toString(16).padStart(4, "0")}›`;
};

const clean = (text: string) => text.replace(HIDDEN, mark);

/** `line` in pieces, begun in `style`; and the style in which the next line begins. */
export function pieces(line: string, style: Style): { pieces: Piece[]; style: Style } {
  const found: Piece[] = [];
  let at = 0;
  const push = (text: string) => text !== "" && found.push({ text: clean(text), style });
  for (const escape of line.matchAll(ESCAPE)) {
    push(line.slice(at, escape.index));
    at = escape.index + escape[0].length;
    if (escape[2] === "m") style = styled(style, escape[1] ?? "");
  }
  push(line.slice(at));
  return { pieces: found, style };
}

/** The bare text of a line, which is what a search looks in. */
export const bare = (line: string) => (line.includes("\x1b") ? line.replace(ESCAPE, "") : line);

/** SGR: 8 and 16 colours, 256 colours; true colours become the nearest of those. */
export function styled(style: Style, codes: string): Style {
  let next = { ...style };
  const rest = codes.split(/[;:]/).map(Number);
  while (rest.length > 0) {
    const code = rest.shift() ?? 0;
    if (code === 0) next = {};
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 4) next.underline = true;
    else if (code === 7) next.inverse = true;
    else if (code === 22) next = { ...next, bold: false, dim: false };
    else if (code === 24) next.underline = false;
    else if (code === 27) next.inverse = false;
    else if (code >= 30 && code <= 37) next.color = code - 30;
    else if (code >= 90 && code <= 97) next.color = code - 82;
    else if (code >= 40 && code <= 47) next.background = code - 40;
    else if (code >= 100 && code <= 107) next.background = code - 92;
    else if (code === 39) next.color = undefined;
    else if (code === 49) next.background = undefined;
    else if (code === 38 || code === 48) next[code === 38 ? "color" : "background"] = long(rest);
  }
  return next;
}

function long(rest: number[]): number | undefined {
  const kind = rest.shift();
  if (kind === 5) return rest.shift();
  if (kind !== 2) return undefined;
  const [red = 0, green = 0, blue = 0] = rest.splice(0, 3).map((part) => Math.round((part / 255) * 5));
  return 16 + 36 * red + 6 * green + blue;
}

/** The sixteen are those of logs.css, which are read well on light and on dark. */
export function hex(color: number): string {
  if (color < 16) return `var(--ansi-${color})`;
  if (color > 231) return `rgb(${Array(3).fill((color - 232) * 10 + 8).join(" ")})`;
  const step = (part: number) => (part === 0 ? 0 : 55 + 40 * part);
  const cube = color - 16;
  return `rgb(${step(Math.floor(cube / 36))} ${step(Math.floor(cube / 6) % 6)} ${step(cube % 6)})`;
}
