#!/usr/bin/env node
import { createOwner } from "./create-owner.ts";
import { setFlagsFromString } from "node:v8";
import { createServer } from "./create-server.ts";
import { run } from "./program.ts";
import { hasTerminal } from "./terminal/controlling.ts";

// V8 lets both generations grow to several times what is in use, which 500 slow readers would pay for with 40 MiB of air
// (`node bench/readers.mjs`: 108 MiB instead of 148). Collecting more often costs a tenth of the processor time of a miss.
for (const flag of ["--semi-space-growth-factor=1", "--heap-growing-percent=20"]) setFlagsFromString(flag);

// A reader that has gone away, as in `afterbay --help | head -1`, is no reason to crash.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

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
  createServer,
  createOwner,
  cwd: process.cwd(),
});
// Not left to an empty event loop: idle connections would keep it waiting.
process.exit(code);
