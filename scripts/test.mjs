// npm test: installs and builds what is missing, then runs every suite, or those named: npm test -- test/cli
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { build, buildIsStale } from "./lib/build.mjs";
import { count, summary } from "./lib/report.mjs";
import { bin, ensureDependencies, root, say } from "./lib/setup.mjs";
import { ensurePlayers } from "./lib/system.mjs";

ensureDependencies();
ensurePlayers();

const built = buildIsStale() ? build() : { ok: true, output: "" };
if (!built.ok) say(`${built.output}The build failed; the tests run anyway, and this run fails in any case.`);

mkdirSync(join(root, ".cache"), { recursive: true });
const file = join(root, ".cache", `test-report-${process.pid}.json`);
const args = process.argv.slice(2);
const vitest = spawnSync(
  bin("vitest"),
  ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${file}`, ...args],
  { cwd: root, stdio: "inherit", shell: process.platform === "win32" },
);

const counts = read() ?? { passed: 0, failed: 0, skipped: 0, skippedSuites: [] };
rmSync(file, { force: true });
const ok = vitest.status === 0 && built.ok;
if (!ok && counts.failed === 0) {
  // An error outside any test, a crash, or no test at all: the line must not say that nothing failed.
  counts.failed = 1;
  console.log(built.ok ? "vitest failed outside the tests; see above" : "the build failed; see above");
}

// With a name pattern nearly everything is skipped, by intent.
if (!args.some((arg) => arg === "-t" || arg.startsWith("--testNamePattern"))) {
  for (const skipped of counts.skippedSuites) {
    console.log(`skipped: ${relative(root, skipped.file)}${skipped.suite === "" ? "" : ` > ${skipped.suite}`}`);
  }
}
console.log(summary(counts));
process.exitCode = ok ? 0 : vitest.status || 1;

function read() {
  try {
    return count(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    say("vitest left no report.");
    return undefined;
  }
}
