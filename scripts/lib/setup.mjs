// What every script needs before it can do its own work. Nothing here may import a dependency: on a fresh clone there
// is none.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const windows = process.platform === "win32";

/** Progress goes to stderr, so that a program's own stdout (`npm start -- --json`) stays clean. */
export function say(message) {
  process.stderr.write(`${message}\n`);
}

export function fail(message, output = "") {
  if (output.trim() !== "") say(output.trimEnd());
  say(message);
  process.exit(1);
}

export function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** Runs a program to its end and keeps its output. `ok` is true for exit code 0. */
export function capture(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 * 1024 * 1024,
    shell: windows,
    ...options,
  });
  const output = `${result.stdout ?? ""}${result.stderr ?? ""}${result.error ? `${result.error.message}\n` : ""}`;
  return { ok: result.status === 0, status: result.status ?? 1, output };
}

/** The path of a development dependency's program. */
export function bin(name) {
  return join(root, "node_modules", ".bin", name);
}

/** Runs npm; npm names itself in the environment of its scripts, and that one is sure to match this Node.js. */
export function npm(...args) {
  const npmCli = process.env.npm_execpath;
  return npmCli?.endsWith(".js") ? capture(process.execPath, [npmCli, ...args]) : capture("npm", args);
}

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    fail(`Afterbay needs Node.js 20.19 or newer; this is ${process.versions.node}.`);
  }
}

/**
 * True if what is installed is what package-lock.json asks for. Versions are compared, not times: a checkout touches
 * the lock file without changing it.
 */
function dependenciesInstalled() {
  const installed = join(root, "node_modules", ".package-lock.json");
  if (!existsSync(installed)) return false;
  const have = JSON.parse(readFileSync(installed, "utf8")).packages;
  const want = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  return Object.entries(want).every(
    ([path, { version, optional, devOptional }]) =>
      path === "" || optional || devOptional || have[path]?.version === version,
  );
}

export function ensureDependencies() {
  requireNode();
  if (dependenciesInstalled()) return;
  const started = performance.now();
  say("Installing what is missing (once, up to a minute) …");
  // Not `npm ci`: it refuses a lock file that lacks binaries of other platforms, and registries need not carry them all.
  // With --no-save npm keeps to the lock file all the same, and leaves it as it is.
  const result = npm("install", "--no-save", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error");
  if (!result.ok) fail("npm install failed; see above. Is the network reachable?", result.output);
  say(`Installed in ${seconds(started)}.`);
}
