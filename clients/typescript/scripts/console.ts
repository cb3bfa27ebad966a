/**
 * Copies the built modules to where the console has them: `npm run console`, which builds first.
 * With `--check` it says whether the console's are of the sources there are now; that needs no
 * build, since each copy names the digest of its source.
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const HERE = new URL("../", import.meta.url);
const CONSOLE = new URL("../../src/hasten/serve/console/static/client/", HERE);
const MODULES = ["client", "follow", "messages", "sse"];

const isChecking = process.argv.includes("--check");
const stale = MODULES.filter((name) => {
  const source = readFileSync(new URL(`src/${name}.ts`, HERE));
  const digest = createHash("sha256").update(source).digest("hex");
  const head = `// Built from clients/typescript/src/${name}.ts by npm run console; ${digest}\n`;
  const copy = new URL(`${name}.js`, CONSOLE);
  if (isChecking) return !readFileSync(copy, "utf8").startsWith(head);
  writeFileSync(copy, head + readFileSync(new URL(`dist/${name}.js`, HERE), "utf8"));
  return false;
});
if (stale.length) {
  console.error(`the console's ${stale.join(", ")} is of another source: npm run console`);
  process.exit(1);
}
