#!/usr/bin/env node
import { setFlagsFromString } from "node:v8";

// Where nobody else listens, nothing has begun that would have to be ended: the program is being loaded.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    if (process.listenerCount(signal) > 1) return;
    process.stderr.write(`afterbay: ended by ${signal} before it had begun.\n`);
    process.exit(0);
  });
}

// V8 lets both generations grow to several times what is in use, which 500 slow readers would pay for with 40 MiB of air
// (`node bench/readers.mjs`: 108 MiB instead of 148). Collecting more often costs a tenth of the processor time of a miss.
for (const flag of ["--semi-space-growth-factor=1", "--heap-growing-percent=20"]) setFlagsFromString(flag);

// A reader that has gone away, as in `afterbay --help | head -1`, is no reason to crash.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const [{ run }, { hasTerminal }] = await Promise.all([import("./program.ts"), import("./terminal/controlling.ts")]);

const code = await run(process.argv.slice(2), {
  env: process.env,
  // To touch stdin is to open it; only --exit-with-parent does.
  get stdin() {
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  signals: process,
  hasTerminal,
  exit: (status) => process.exit(status),
  // Half of the time that the program takes to load is theirs, and most commands need neither.
  createServer: async (options) => await (await import("./create-server.ts")).createServer(options),
  createOwner: async (options) => await (await import("./create-owner.ts")).createOwner(options),
  cwd: process.cwd(),
});
// Not left to an empty event loop: idle connections would keep it waiting.
process.exit(code);
