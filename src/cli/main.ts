#!/usr/bin/env node
import { createOwner } from "./create-owner.ts";
import { createServer } from "./create-server.ts";
import { run } from "./program.ts";

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
  exit: (status) => process.exit(status),
  createServer,
  createOwner,
  cwd: process.cwd(),
});
// Not left to an empty event loop: idle connections would keep it waiting.
process.exit(code);
