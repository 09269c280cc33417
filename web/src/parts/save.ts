/** Hands `parts` to the browser as a file of this name. */
export function save(name: string, type: string, ...parts: BlobPart[]) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob(parts, { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export const saveLines = (name: string, values: unknown[]) =>
  save(name, "application/x-ndjson", values.map((value) => `${JSON.stringify(value)}\n`).join(""));
