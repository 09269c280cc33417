/** What a webhook sends, in one line: `type=job.failed,job.succeeded module!=xtb label=team=blue`, as `GET /events` has it. */
export type EventWords = Record<string, string[]>;

const NAMES = new Set(["type", "status", "module", "user_id", "label"].flatMap((name) => [name, `${name}!`]));

export function readWords(text: string): { words: EventWords; unknown: string[] } {
  const words: EventWords = {};
  const unknown: string[] = [];
  for (const token of text.match(/(?:[^\s"]|"[^"]*")+/g) ?? []) {
    const [, name = "", values = ""] = /^([a-z_]+!?)=(.+)$/.exec(token) ?? [];
    const list = (values.replaceAll('"', "").match(/(?:\\.|[^,\\])+/g) ?? []).map((each) => each.replace(/\\(.)/g, "$1"));
    if (NAMES.has(name) && list.length > 0) words[name] = [...(words[name] ?? []), ...list];
    else unknown.push(token);
  }
  return { words, unknown };
}

export const writeWords = (words: object): string =>
  Object.entries(words as EventWords)
    .filter(([, list]) => Array.isArray(list) && list.length > 0)
    .map(([name, list]) => {
      const text = list.map((each) => String(each).replace(/[\\,]/g, "\\$&")).join(",");
      return `${name}=${/\s/.test(text) ? `"${text}"` : text}`;
    })
    .join(" ");

/** `text` with `type` among its types, or without it if it was. */
export function withType(text: string, type: string): string {
  const { words } = readWords(text);
  const types = words.type ?? [];
  return writeWords({ ...words, type: types.includes(type) ? types.filter((each) => each !== type) : [...types, type] });
}
