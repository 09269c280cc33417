// Compresses what was built, once, so that the gateway need not, and holds the build to its budget.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const folder = new URL("../dist/ui/", import.meta.url);
/** KiB of JavaScript, gzip, that the list of jobs may load. */
const SCRIPT_KIB_MAX = 300;

const names = (await readdir(folder, { recursive: true })).filter((name) => /\.(js|css|html|svg|json)$/.test(name));
const sizes = new Map();
for (const name of names) {
  const bytes = await readFile(new URL(name, folder));
  const gzip = gzipSync(bytes, { level: 9 });
  sizes.set(name, gzip.length);
  if (bytes.length < 1024) continue;
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } };
  await writeFile(new URL(`${name}.br`, folder), brotliCompressSync(bytes, quality));
  await writeFile(new URL(`${name}.gz`, folder), gzip);
}

const manifest = JSON.parse(await readFile(new URL(".vite/manifest.json", folder), "utf8"));
const loaded = new Set();
function load(key) {
  const chunk = manifest[key];
  if (loaded.has(chunk.file)) return;
  loaded.add(chunk.file);
  chunk.css?.forEach((name) => loaded.add(name));
  chunk.imports?.forEach(load);
}
load("index.html");
load("src/screens/jobs/Jobs.tsx");
const kib = (ending) =>
  [...loaded].filter((name) => name.endsWith(ending)).reduce((sum, name) => sum + sizes.get(name), 0) / 1024;
console.log(`the list of jobs loads ${kib(".js").toFixed(1)} KiB of scripts and ${kib(".css").toFixed(1)} KiB of styles (gzip)`);
if (kib(".js") > SCRIPT_KIB_MAX) {
  console.error(`which is more than ${SCRIPT_KIB_MAX} KiB`);
  process.exit(1);
}
