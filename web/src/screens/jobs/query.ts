/** The search field and the address say the same, in the words of `GET /jobs`: `status=failed,queued module!=xtb`. */
import type { Filter } from "../../api/queries";

/** The words that choose, each also with `!` but for instants. */
export const WORDS = ["status", "module", "user_id", "label", "release_id", "error_code", "waiting", "priority", "retry_of"] as const;
export const INSTANTS = ["created_after", "created_before", "ended_after", "ended_before"] as const;

const SHORT: Record<string, string> = { state: "status", user: "user_id", owner: "user_id", error: "error_code", release: "release_id" };
const KNOWN = new Set<string>([...WORDS.flatMap((word) => [word, `${word}!`]), ...INSTANTS, "sort"]);

/** What of an address chooses jobs; the rest of it is the page's own. */
export const chosen = (search: Record<string, string>): Filter =>
  Object.fromEntries(Object.entries(search).filter(([name, value]) => KNOWN.has(name) && value !== ""));

/** Whether the filter chooses at all: the API acts on no jobs that nobody chose. */
export const choosesSome = (filter: Filter) =>
  [...WORDS.flatMap((word) => [word, `${word}!`]), ...INSTANTS].some((word) => filter[word] !== undefined);

export function read(text: string): { filter: Filter; unknown: string[] } {
  const filter: Filter = {};
  const unknown: string[] = [];
  for (const token of text.match(/(?:[^\s"]|"[^"]*")+/g) ?? []) {
    const [, written = "", not = "", quoted = ""] = /^([a-z_]+)(!?)[=:](.+)$/.exec(token) ?? [];
    const name = (SHORT[written] ?? written) + not;
    const value = quoted.replaceAll('"', "");
    if (KNOWN.has(name) && value !== "") filter[name] = value;
    else unknown.push(token);
  }
  return { filter, unknown };
}

export const write = (filter: Filter): string =>
  Object.entries(filter)
    .filter(([name]) => name !== "sort")
    .map(([name, value]) => `${name}=${/\s/.test(value) ? `"${value}"` : value}`)
    .join(" ");

/** Words between commas; what stands behind a backslash is part of one. */
const words = (value: string | undefined): string[] => value?.match(/(?:\\.|[^,\\])+/g) ?? [];

/** The API takes one label, and all that stands there is it: a comma parts nothing. */
const isOne = (name: string) => name === "label" || name === "label!";

/**
 * `filter` with `value` among the words of `name`, or without it if it was; of labels, in place of the one before. A comma
 * in a word is written `\,`, but not in a label.
 */
export function toggled(filter: Filter, name: string, value: string): Filter {
  const { [name]: before, ...rest } = filter;
  if (isOne(name)) return before === value ? rest : { ...rest, [name]: value };
  const word = value.replace(/[\\,]/g, "\\$&");
  const found = words(before);
  const next = found.includes(word) ? found.filter((each) => each !== word) : [...found, word];
  return next.length === 0 ? rest : { ...rest, [name]: next.join(",") };
}

export const has = (filter: Filter, name: string, value: string) =>
  isOne(name) ? filter[name] === value : words(filter[name]).includes(value.replace(/[\\,]/g, "\\$&"));
