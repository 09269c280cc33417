/** Chunks of a log to lines. Each stream has its own line in hand; a carriage return begins it anew, as progress bars do. */
import type { Chunk } from "../../../api/schema";
import { styled, type Style } from "./ansi";

export type Line = { text: string; stream: string; attempt: number; at: string; style: Style };

/** A longer line is broken, so that one without an end is not laid out as one. */
const LINE_LETTERS_MAX = 8192;

export class Lines {
  readonly all: Line[] = [];
  /** The place in `all` of the line that a stream goes on with. */
  #open = new Map<string, number>();
  #style = new Map<string, Style>();

  add(chunk: Chunk): void {
    const { stream, at } = chunk;
    const attempt = chunk.attempt as number;
    const key = `${attempt} ${stream}`;
    if (Number(chunk.missing) > 0) {
      this.#open.delete(key);
      this.all.push({ text: `[${chunk.missing} bytes of ${stream} are missing here]`, stream: "nox", attempt, at, style: {} });
    }
    const parts = chunk.text.split("\n");
    parts.forEach((part, place) => {
      const whole = place < parts.length - 1;
      if (!whole && part === "") return;
      for (const text of broken(whole && part.endsWith("\r") ? part.slice(0, -1) : part)) this.#append(key, text, { stream, attempt, at });
      if (whole) this.#open.delete(key);
    });
  }

  /** Goes on with the stream's line in hand, or begins one. */
  #append(key: string, text: string, line: Omit<Line, "text" | "style">) {
    const open = this.#open.get(key);
    const before = open === undefined ? undefined : this.all[open];
    const goesOn = before !== undefined && before.text.length + text.length <= LINE_LETTERS_MAX;
    const place = goesOn && open !== undefined ? open : this.all.length;
    const begun = goesOn ? before : { ...line, text: "", style: this.#style.get(key) ?? {} };
    this.all[place] = { ...begun, text: overwritten(begun.text + text) };
    this.#open.set(key, place);
    this.#style.set(key, after(this.all[place]));
  }
}

/** The end of a line that was written over. */
function overwritten(text: string): string {
  const at = text.lastIndexOf("\r");
  return at < 0 || at === text.length - 1 ? text : text.slice(at + 1);
}

function after(line: Line): Style {
  let style = line.style;
  for (const [, codes = ""] of line.text.matchAll(/\x1b\[([0-9;:]*)m/g)) style = styled(style, codes);
  return style;
}

function broken(text: string): string[] {
  if (text.length <= LINE_LETTERS_MAX) return [text];
  const parts: string[] = [];
  for (let at = 0; at < text.length; at += LINE_LETTERS_MAX) parts.push(text.slice(at, at + LINE_LETTERS_MAX));
  return parts;
}
