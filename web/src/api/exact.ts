/**
 * JSON whose numbers keep their digits. The API takes and gives integers beyond 2^53, 1e400 and
 * 0.1000000000000000055 as they are; `JSON.parse` does not. Text without such a number is left to `JSON.parse`.
 */
export class Exact {
  constructor(readonly text: string) {}
  toString() {
    return this.text;
  }
}

/** A number of 16 digits or more, or with an exponent: it may not be what a double says it is. */
const DOUBTFUL = /[\d.]{16}|\d[eE][+-]?\d/;

export function parse(text: string): unknown {
  return DOUBTFUL.test(text) ? new Parser(text).whole() : JSON.parse(text);
}

/** `indent` blanks a level, as `JSON.stringify` has it; nothing but the numbers is another. */
export function stringify(value: unknown, indent = 0, depth = 0): string {
  if (value instanceof Exact) return value.text;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "null";
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  const blank = indent === 0 ? "" : " ";
  const parts = Array.isArray(value)
    ? value.map((item) => stringify(item, indent, depth + 1))
    : Object.entries(value)
        .filter(([, member]) => member !== undefined)
        .map(([name, member]) => `${JSON.stringify(name)}:${blank}${stringify(member, indent, depth + 1)}`);
  if (parts.length === 0) return `${open}${close}`;
  if (indent === 0) return `${open}${parts.join(",")}${close}`;
  const line = `\n${" ".repeat(indent * (depth + 1))}`;
  return `${open}${line}${parts.join(`,${line}`)}\n${" ".repeat(indent * depth)}${close}`;
}

/** What a number comes to, whichever way it is written: its digits and where the point stands. */
function canonical(text: string): string {
  const [mantissa = "", exponent = "0"] = text.toLowerCase().split("e");
  const sign = mantissa.startsWith("-") ? "-" : "";
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  const kept = digits.replace(/0+$/, "");
  if (kept === "") return "0";
  const place = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - kept.length);
  return `${sign}${kept}e${place}`;
}

function number(text: string): number | Exact {
  const double = Number(text);
  return Number.isFinite(double) && canonical(String(double)) === canonical(text) ? double : new Exact(text);
}

const TOKEN = /\s*(?:("(?:[^"\\\x00-\x1f]|\\.)*")|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(true|false|null)|([[\]{},:]))/y;

class Parser {
  #token = "";
  #kind = 0;

  constructor(readonly text: string) {
    TOKEN.lastIndex = 0;
    this.#next();
  }

  whole(): unknown {
    const value = this.#value();
    if (this.#kind !== 0) throw new SyntaxError("JSON goes on behind its end");
    return value;
  }

  #next() {
    const at = TOKEN.lastIndex;
    const found = TOKEN.exec(this.text);
    this.#kind = found ? found.findIndex((group, place) => place > 0 && group !== undefined) : 0;
    this.#token = found?.[this.#kind] ?? "";
    if (!found && this.text.slice(at).trim() !== "") throw new SyntaxError(`no JSON at ${at}`);
  }

  #take(mark: string) {
    if (this.#kind !== 4 || this.#token !== mark) throw new SyntaxError(`${mark} expected before ${this.#token}`);
    this.#next();
  }

  #is(mark: string) {
    return this.#kind === 4 && this.#token === mark;
  }

  #text(): string {
    const text = JSON.parse(this.#token) as string;
    this.#next();
    return text;
  }

  #value(): unknown {
    const token = this.#token;
    switch (this.#kind) {
      case 1:
        return this.#text();
      case 2:
        this.#next();
        return number(token);
      case 3:
        this.#next();
        return JSON.parse(token) as unknown;
      default:
        return this.#is("[") ? this.#array() : this.#object();
    }
  }

  #array(): unknown[] {
    const items: unknown[] = [];
    this.#take("[");
    while (!this.#is("]")) {
      items.push(this.#value());
      if (!this.#is("]")) this.#take(",");
    }
    this.#take("]");
    return items;
  }

  #object(): Record<string, unknown> {
    const members: Record<string, unknown> = {};
    this.#take("{");
    while (!this.#is("}")) {
      if (this.#kind !== 1) throw new SyntaxError(`a name expected before ${this.#token}`);
      const name = this.#text();
      this.#take(":");
      // `__proto__` is a name as any other.
      Object.defineProperty(members, name, { value: this.#value(), enumerable: true, writable: true, configurable: true });
      if (!this.#is("}")) this.#take(",");
    }
    this.#take("}");
    return members;
  }
}
