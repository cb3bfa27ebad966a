/**
 * Copies the built modules to where the console has them: `make console`, which builds first.
 * With `--check` it says whether the console's are of the sources there are now, and as they were
 * built; that needs no build, since each copy names the digests of its source and of itself.
 */

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const HERE = new URL("../", import.meta.url);
const CONSOLE = new URL("../../src/hasten/serve/console/static/client/", HERE);
const MODULES = ["client", "follow", "messages", "sse"];

const digest = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 32);

function copyOf(name: string, built: string): string {
  const source = readFileSync(new URL(`src/${name}.ts`, HERE), "utf8");
  const digests = `${digest(source)} ${digest(built)}`;
  return `// Built from clients/typescript/src/${name}.ts by make console: ${digests}\n${built}`;
}

const isChecking = process.argv.includes("--check");
const stale = MODULES.filter((name) => {
  const copy = new URL(`${name}.js`, CONSOLE);
  if (isChecking) {
    const kept = readFileSync(copy, "utf8");
    return kept !== copyOf(name, kept.slice(kept.indexOf("\n") + 1));
  }
  writeFileSync(copy, copyOf(name, readFileSync(new URL(`dist/${name}.js`, HERE), "utf8")));
  return false;
});
if (stale.length) {
  console.error(`the console's ${stale.join(", ")} is not what its source builds: make console`);
  process.exit(1);
}
