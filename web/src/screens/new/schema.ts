/** What of JSON Schema a form is made of. Whatever else a schema says, the server judges. */
export type Schema = {
  type?: string | string[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  format?: string;
  description?: string;
  properties?: Record<string, Schema>;
  required?: string[];
  maxLength?: number;
  minimum?: number;
  maximum?: number;
};

export type Kind = "object" | "choice" | "boolean" | "number" | "molecule" | "text" | "json";

export function kindOf(schema: Schema): Kind {
  const type = Array.isArray(schema.type) ? schema.type.find((each) => each !== "null") : schema.type;
  if (schema.enum) return "choice";
  if (schema.format === "xyz") return "molecule";
  if (type === "object" && schema.properties) return "object";
  if (type === "boolean") return "boolean";
  if (type === "integer" || type === "number") return "number";
  if (type === "string") return "text";
  return "json";
}

/** A JSON pointer's token. */
export const token = (name: string) => name.replaceAll("~", "~0").replaceAll("/", "~1");

/** `value` with `part` at the members of `path`; without it where `part` is undefined. */
export function placed(value: unknown, path: string[], part: unknown): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return part;
  const members = { ...(value as Record<string, unknown> | undefined) };
  const next = placed(members[name], rest, part);
  if (next === undefined) delete members[name];
  else members[name] = next;
  return members;
}

export const at = (value: unknown, path: string[]): unknown =>
  path.reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], value);
