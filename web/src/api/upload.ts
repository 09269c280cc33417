/** Inputs hold 16 KiB. A longer text in them is uploaded first, and a reference stands in its place. */
import { Exact } from "./exact";
import { send } from "./client";
import type { Upload } from "./schema";

/** Bytes of one text, so that several shorter ones have room beside each other. */
const TEXT_BYTES_MAX = 4096;

/** What stands in inputs for a text that was uploaded. */
export type Reference = { $upload: string; sha256: string };

export const isReference = (value: unknown): value is Reference =>
  typeof value === "object" && value !== null && "$upload" in value && typeof (value as Reference).sha256 === "string";

/** Bytes of what this tab has uploaded, by its hash: a reference does not say them, and the API tells them once. */
const sizes = new Map<string, number>();

export function uploaded({ sha256 }: Reference): string {
  const size = sizes.get(sha256);
  return `uploaded, sha256 ${sha256.slice(0, 16)}…${size === undefined ? "" : `, ${size.toLocaleString("en")} bytes`}`;
}

export async function withUploads(value: unknown): Promise<unknown> {
  if (typeof value === "string") {
    const raw = new Blob([value]);
    if (raw.size <= TEXT_BYTES_MAX) return value;
    const { id, sha256 } = await send<Upload>("PUT", "/uploads", { raw });
    sizes.set(sha256, raw.size);
    return { $upload: id, sha256 };
  }
  if (Array.isArray(value)) return Promise.all(value.map(withUploads));
  if (value === null || typeof value !== "object" || value instanceof Exact) return value;
  const members = await Promise.all(Object.entries(value).map(async ([name, member]) => [name, await withUploads(member)] as const));
  return Object.fromEntries(members);
}
