import { afterEach, expect, test, vi } from "vitest";
import { isReference, uploaded, withUploads } from "./upload";

afterEach(() => void vi.unstubAllGlobals());

const sha256 = "ab".repeat(32);

test("what was uploaded stays so, and is told by its hash", async () => {
  const inputs = { xyz: { $upload: "u", sha256 }, charge: 1 };
  expect(await withUploads(inputs)).toEqual(inputs);
  expect(isReference(inputs.xyz)).toBe(true);
  expect(isReference("text") || isReference(null) || isReference({ sha256 })).toBe(false);
  expect(uploaded(inputs.xyz)).toBe("uploaded, sha256 abababababababab…");
});

test("of what this tab uploaded, the bytes are known", async () => {
  vi.stubGlobal("sessionStorage", { getItem: () => "token" });
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ id: "u", sha256, size: 5000 })));
  const { xyz } = (await withUploads({ xyz: "é".repeat(2500) })) as { xyz: { $upload: string; sha256: string } };
  expect(uploaded(xyz)).toBe("uploaded, sha256 abababababababab…, 5,000 bytes");
});
