import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { bin, capture, root } from "./setup.mjs";

const dist = join(root, "dist");
const inputs = ["src", "package.json", "tsconfig.json", "tsconfig.build.json"];

/** The time of the last change below `path`; directories count too, so that a deleted file is noticed. */
function lastChange(path) {
  const stat = statSync(path);
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, lastChange(join(path, name))), stat.mtimeMs);
}

export function buildIsStale() {
  if (!existsSync(dist)) return true;
  return inputs.some((input) => lastChange(join(root, input)) > statSync(dist).mtimeMs);
}

/**
 * Builds into a folder of its own and swaps it in when it is whole: programs that start from `dist` meanwhile, and
 * builds that run at the same time, never see half of one. A failed build leaves the last good one in place.
 */
export function build() {
  const started = new Date();
  const work = join(root, ".cache", `build-${process.pid}`);
  const fresh = join(work, "new");
  rmSync(work, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  try {
    const result = capture(bin("tsc"), ["-p", "tsconfig.build.json", "--outDir", fresh]);
    if (!result.ok) return result;
    const main = join(fresh, "cli", "main.js");
    if (existsSync(main)) chmodSync(main, 0o755);
    // What changes while the compiler runs is newer than the build.
    utimesSync(fresh, started, started);
    swapIn(fresh, work);
    return result;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function swapIn(fresh, work) {
  for (let attempt = 0; ; attempt++) {
    try {
      if (existsSync(dist)) renameSync(dist, join(work, `old-${attempt}`));
      renameSync(fresh, dist);
      return;
    } catch (error) {
      // Another build swapped its own in between the two renames.
      if (attempt === 5) throw error;
    }
  }
}
