// npm run check: everything that judges the code without running it. npm run check -- --fix formats first.
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { checkImports } from "./check-imports.mjs";
import { build } from "./lib/build.mjs";
import { bin, capture, ensureDependencies, npm, root, say, seconds } from "./lib/setup.mjs";

const fix = process.argv.includes("--fix");

const run =
  (name, ...args) =>
  () =>
    capture(bin(name), args);

const steps = [
  ["format", run("biome", "format", "--reporter=summary", ...(fix ? ["--write"] : []), ".")],
  ["lint", run("oxlint", "--type-aware", "--deny-warnings")],
  ["imports", imports],
  ["types", run("tsc", "-p", "tsconfig.json")],
  ["unused", run("knip", "--no-progress")],
  ["build", build],
  ["package", judgePackage],
];

ensureDependencies();
const failed = [];
for (const [name, step] of steps) {
  const started = performance.now();
  const { ok, output } = step();
  console.log(`${ok ? "ok  " : "FAIL"} ${name.padEnd(8)} ${seconds(started)}`);
  if (ok) continue;
  failed.push(name);
  console.log(output.trimEnd());
}
if (failed.length > 0) say(`check failed: ${failed.join(", ")}`);
process.exitCode = failed.length > 0 ? 1 : 0;

/** Packs what would be published, and lets publint and attw look at that very file. */
function judgePackage() {
  const directory = join(root, ".cache", `pack-${process.pid}`);
  mkdirSync(directory, { recursive: true });
  try {
    const packed = npm("pack", "--ignore-scripts", "--silent", "--pack-destination", directory);
    if (!packed.ok) return packed;
    const tarball = join(directory, readdirSync(directory)[0]);
    const judged = [
      run("publint", "--strict", tarball)(),
      run("attw", tarball, "--profile", "esm-only", "--no-emoji", "--format", "ascii")(),
    ];
    const wrong = judged.filter(({ ok }) => !ok);
    return { ok: wrong.length === 0, output: wrong.map(({ output }) => output).join("\n") };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function imports() {
  const found = checkImports(join(root, "src"));
  return { ok: found.length === 0, output: found.join("\n") };
}
