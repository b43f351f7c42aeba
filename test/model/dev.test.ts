import * as fc from "fast-check";
import { test } from "vitest";
import { scenarios } from "./generate.ts";
import { play as run } from "./play.ts";

test("dev", { timeout: 3_600_000 }, async () => {
  const runs = Number(process.env["MODEL_RUNS"] ?? 300);
  const seed = Number(process.env["MODEL_SEED"] ?? 1);
  const only = process.env["MODEL_ONLY"];
  const kinds = new Map<string, { count: number; at: number; what: string }>();
  const all = fc.sample(scenarios({ tracks: Number(process.env.T ?? 3), steps: Number(process.env.S ?? 10) }), {
    numRuns: runs,
    seed,
  });
  const from = Number(process.env["FROM"] ?? 0);
  const started = performance.now();
  const cpu = process.cpuUsage();
  if (only === undefined) Error.stackTraceLimit = 0;

  let complete = 0,
    events = 0,
    starts = 0,
    vms = 0,
    requests = 0,
    bytes = 0;
  let slow: [number, number][] = [];
  for (const [at, one] of all.entries()) {
    if (only !== undefined && Number(only) !== at) continue;
    if (at < from) continue;
    if (only !== undefined) console.log(JSON.stringify(one, null, 1));
    const t0 = performance.now();
    if (process.env["TRACE"]) (await import("node:fs")).writeSync(2, `${at}\n`);
    try {
      const report: any = await run(one);
      complete += report.complete;
      requests += report.requests;
      bytes += report.upstreamBytes;
      events += report.events;
      starts += report.starts;
      vms += report.vms;
    } catch (error) {
      const what = (error as Error).message;
      if (only !== undefined) console.log((error as Error).stack);
      const kind = what
        .split("\n")[0]!
        .replace(/\{.*\}/g, "{}")
        .replace(/[\d.]+/g, "N")
        .replace(/etag-\w+|own-\w+|date-\w+/g, "V")
        .slice(0, 110);
      const known = kinds.get(kind) ?? { count: 0, at, what };
      known.count += 1;
      kinds.set(kind, known);
    }
    if (at % 200 === 199) {
      const c = process.cpuUsage(cpu);
      console.log("CPU", at, Math.round((c.user + c.system) / 1000), Math.round(performance.now() - started));
    }
    slow.push([performance.now() - t0, at]);
  }
  slow.sort((a, b) => b[0] - a[0]);
  const ms = performance.now() - started;
  console.log(
    `${all.length} runs in ${Math.round(ms)} ms, cpu ${Math.round((process.cpuUsage(cpu).user + process.cpuUsage(cpu).system) / 1000)} ms, ${requests} requests, ${complete} complete, ${events} events, ${starts} starts, ${Math.round(vms / 1000)} s virtual, ${bytes / 2 ** 20} MiB; slowest ${slow
      .slice(0, 5)
      .map(([t, a]) => `${a}:${Math.round(t)}`)
      .join(" ")}`,
  );
  for (const [, { count, at, what }] of [...kinds].sort((a, b) => b[1].count - a[1].count))
    console.log(
      `${count}x  #${at}: ${what
        .split("\n")
        .slice(0, Number(process.env["LINES"] ?? 2))
        .join("\n   ")
        .slice(0, 600)}`,
    );
});
