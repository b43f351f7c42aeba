// npm start: installs and builds what is missing, then serves. Arguments go to `afterbay serve`.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { build, buildIsStale } from "./lib/build.mjs";
import { ensureDependencies, fail, root, say } from "./lib/setup.mjs";

ensureDependencies();
if (buildIsStale()) {
  say("Building …");
  const result = build();
  if (!result.ok) fail("The build failed; see above.", result.output);
}

// npm puts a shell in between that does not pass SIGTERM on. Once it is gone, so is whoever wanted this server.
if (process.env.npm_lifecycle_event === "start") {
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, "SIGTERM");
  }, 250);
  watch.unref();
}

// In this very process: signals, stdin and the exit code then need no passing on.
const main = join(root, "dist", "cli", "main.js");
process.argv = [process.execPath, main, "serve", ...process.argv.slice(2)];
await import(pathToFileURL(main).href);
