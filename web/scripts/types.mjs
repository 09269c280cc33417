// Writes src/api/schema.ts from docs/openapi.json: the schemas alone, for the client says the addresses itself.
// With `--check` it writes nothing and fails where the file differs.
import { readFile, writeFile } from "node:fs/promises";
import openapiTS, { astToString } from "openapi-typescript";

const target = new URL("../src/api/schema.ts", import.meta.url);
const document = JSON.parse(await readFile(new URL("../../docs/openapi.json", import.meta.url), "utf8"));
const { openapi, info, components } = document;
const tree = await openapiTS(
  { openapi, info, paths: {}, components: { schemas: components.schemas } },
  { rootTypes: true, rootTypesNoSchemaPrefix: true },
);
const text = `// Made from docs/openapi.json by \`npm run types\`.\n\n${astToString(tree)}`;
if (process.argv.includes("--check")) {
  if ((await readFile(target, "utf8")) !== text) {
    console.error("src/api/schema.ts is not what docs/openapi.json says: npm run types");
    process.exit(1);
  }
} else {
  await writeFile(target, text);
}
