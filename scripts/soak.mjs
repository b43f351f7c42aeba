// npm run soak: hours of what npm test does for seconds. npm run soak -- model load   runs those parts alone.
import { spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { build, buildIsStale } from "./lib/build.mjs";
import { bin, ensureDependencies, fail, root, seconds } from "./lib/setup.mjs";

const { env } = process;
/** Of the last part of a failed run's output, lines. */
const SHOWN = 80;
/** Runs of the model in one process. */
const BATCH = 5000;

const number = (name, otherwise) => Number(env[name] ?? otherwise);
const anySeed = () => randomInt(2 ** 31 - 2 ** 20);

/** Each yields the runs it consists of: a suite, and what it is told by the environment. Whatever is set outside holds. */
const parts = {
  *model() {
    const runs = number("MODEL_RUNS", 100_000);
    const first = number("MODEL_SEED", anySeed());
    const suite = "test/model/long.test.ts";
    // One failure is played again alone.
    if (env.MODEL_PATH !== undefined) yield { suite, about: { MODEL_SEED: first } };
    for (let done = 0; env.MODEL_PATH === undefined && done < runs; done += BATCH) {
      yield { suite, about: { MODEL_SEED: first + done / BATCH, MODEL_RUNS: Math.min(BATCH, runs - done) } };
    }
  },
  *crash() {
    yield { suite: "test/crash", about: { KILLS: 200, SEED: anySeed() } };
  },
  *load() {
    const about = { LOAD_SLOW: 1000, LOAD_FAST: 50, LOAD_SECONDS: 300, SEED: anySeed() };
    yield { suite: "test/load", about };
  },
  *fuzz() {
    yield { suite: "test/doors/fuzz.test.ts", about: { FUZZ: 100_000, SEED: anySeed() } };
  },
  *stress() {
    const seeds = Array.from({ length: number("STRESS", 50) }, anySeed).join(",");
    yield { suite: "test/proxy/stress.test.ts", about: { SEEDS: seeds } };
  },
};

const wanted = process.argv.slice(2);
const unknown = wanted.find((name) => !Object.hasOwn(parts, name));
if (unknown !== undefined) {
  console.error(`There is no part ${unknown}; there are ${Object.keys(parts).join(", ")}`);
  process.exit(2);
}

ensureDependencies();
if (buildIsStale()) {
  const { ok, output } = build();
  if (!ok) fail("The build failed", output);
}

const failed = [];
for (const name of wanted.length > 0 ? wanted : Object.keys(parts)) {
  const began = performance.now();
  const bad = [];
  const told = [];
  for (const { suite, about } of parts[name]()) {
    const settings = Object.fromEntries(Object.entries(about).map(([key, value]) => [key, env[key] ?? String(value)]));
    // A batch has its own seed, and no more runs than are left.
    if (name === "model") Object.assign(settings, stringsOf(about));
    const line = Object.entries(settings)
      .map(([key, value]) => `${key}=${value}`)
      .join(" ");
    told.push(line);
    const { ok, output } = await run(suite, settings);
    if (ok) continue;
    bad.push(line);
    console.log(`${output.trimEnd().split("\n").slice(-SHOWN).join("\n")}\nFAILED: ${line} npm test -- ${suite}`);
  }
  const from = told.length > 1 ? `${told[0]} … ${told.at(-1)}` : told[0];
  console.log(`${bad.length === 0 ? "ok  " : "FAIL"} ${name.padEnd(6)} ${seconds(began)}  ${from}`);
  for (const line of bad) console.log(`     failed: ${line}`);
  if (bad.length > 0) failed.push(name);
}
process.exitCode = failed.length > 0 ? 1 : 0;

function stringsOf(about) {
  return Object.fromEntries(Object.entries(about).map(([key, value]) => [key, String(value)]));
}

/** Runs a suite to its end, and keeps what it says. */
function run(suite, settings) {
  return new Promise((resolve) => {
    const child = spawn(bin("vitest"), ["run", "--testTimeout=3600000", "--hookTimeout=600000", suite], {
      cwd: root,
      env: { ...env, ...settings, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      shell: process.platform === "win32",
    });
    let output = "";
    const keep = (text) => {
      output += text;
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    child.on("error", (error) => resolve({ ok: false, output: `${output}${error.message}\n` }));
    child.on("close", (code) => resolve({ ok: code === 0, output }));
  });
}
