/** Inputs hold 16 KiB. A longer text in them is uploaded first, and a reference stands in its place. */
import { Exact } from "./exact";
import { send } from "./client";
import type { Upload } from "./schema";

/** Bytes of one text, so that several shorter ones have room beside each other. */
const TEXT_BYTES_MAX = 4096;

export async function withUploads(value: unknown): Promise<unknown> {
  if (typeof value === "string") {
    const raw = new Blob([value]);
    if (raw.size <= TEXT_BYTES_MAX) return value;
    const { id, sha256 } = await send<Upload>("PUT", "/uploads", { raw });
    return { $upload: id, sha256 };
  }
  if (Array.isArray(value)) return Promise.all(value.map(withUploads));
  if (value === null || typeof value !== "object" || value instanceof Exact) return value;
  const members = await Promise.all(Object.entries(value).map(async ([name, member]) => [name, await withUploads(member)] as const));
  return Object.fromEntries(members);
}
