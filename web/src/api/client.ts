/** One way to ask the gateway: same origin, bearer token, problem documents as errors, numbers with their digits. */
import { parse, stringify } from "./exact";
import { minFrame } from "./heard";
import { Problem } from "./problem";
import { kept } from "./token";

export type Query = Record<string, string | number | boolean | undefined>;

/** `raw` is sent as it stands, and `body` as JSON; `reason` stands in the audit beside what was done. */
type Ask = { query?: Query; body?: unknown; raw?: Blob; reason?: string; headers?: Record<string, string>; signal?: AbortSignal };

export async function ask(method: string, path: string, { query, body, raw, reason = "", headers, signal }: Ask = {}): Promise<Response> {
  const token = kept();
  const response = await fetch(path + search(query), {
    method,
    headers: {
      ...(token && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { "Content-Type": "application/json" }),
      ...(reason.trim() !== "" && { "Nox-Reason": headerText(reason) }),
      ...headers,
    },
    body: raw ?? (body === undefined ? undefined : stringify(body)),
    cache: "no-store",
    credentials: "omit",
    ...(signal && { signal }),
  });
  if (!response.ok) throw await Problem.of(response);
  return response;
}

/** UTF-8 as a header has it: `fetch` sends each letter as one byte, and refuses those beyond. */
export const headerText = (text: string): string =>
  Array.from(new TextEncoder().encode(text.trim().replace(/\p{C}+/gu, " ")), (byte) => String.fromCharCode(byte)).join("");

export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  const response = await ask("GET", path, { headers: minFrame(path), ...(query && { query }), ...(signal && { signal }) });
  return parse(await response.text()) as T;
}

export async function send<T>(method: string, path: string, rest: Ask = {}): Promise<T> {
  const text = await (await ask(method, path, rest)).text();
  return (text === "" ? undefined : parse(text)) as T;
}

/** As `?a=b`, or nothing. `status!` stays as the API writes it. */
export function search(query: Query = {}): string {
  const pairs = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const written = pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`);
  return written.length === 0 ? "" : `?${written.join("&")}`;
}

export const job = (id: string) => `/jobs/${encodeURIComponent(id)}`;
/** `name` as the list of artifacts has it; slashes separate folders there. */
export const artifact = (id: string, name: string) =>
  `${job(id)}/artifacts/${name.split("/").map(encodeURIComponent).join("/")}`;
