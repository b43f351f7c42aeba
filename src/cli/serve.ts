import type { Io, Output } from "./io.ts";
import { createLog } from "./log.ts";
import { explain, Failure } from "./problems.ts";
import type { Server } from "./create-server.ts";
import { type ServeSettings, serveSettings } from "./serve-settings.ts";
import { Reloading } from "./reloading.ts";
import { stopping } from "./stopping.ts";
import { version } from "../version.ts";

/** `afterbay serve`: runs a server until it is told to stop. `given` answers what the command line says of a flag. */
export async function serve(given: (name: string) => readonly string[], io: Io): Promise<void> {
  const settings = await serveSettings(given, io.env);
  const log = createLog(settings.logLevel, io.stderr);
  const reloading = new Reloading(settings, () => serveSettings(given, io.env), log);
  const hadTerminal = io.hasTerminal();
  const stop = stopping(io.signals, io.exit, {
    parent: settings.exitWithParent ? io.stdin : undefined,
    // A terminal that is closed sends the same signal as whoever wants the settings to be read again.
    onHangup: () => settings.fromFile && io.hasTerminal() === hadTerminal && reloading.ask(),
  });
  try {
    const server = await io.createServer({ ...settings.server, log });
    reloading.begin(server);
    if (!stop.now()) await announce(server, settings, io.stdout, stop.asked);
    await stop.asked;
    await server.close();
  } catch (error) {
    log.debug({ err: error }, "serve failed");
    throw new Failure(explain(error, settings.server), { cause: error });
  } finally {
    stop.end();
  }
}

async function announce(server: Server, settings: ServeSettings, output: Output, stop: Promise<void>): Promise<void> {
  const { url } = server;
  if (settings.json) {
    output.write(`${JSON.stringify({ event: "ready", url, pid: process.pid, version })}\n`);
    return;
  }
  // A terminal's scrollback is no place for the token itself.
  const secret = settings.server.token === undefined ? "" : "?token=TOKEN";
  output.write(`Listening on ${url}${secret && `/${secret}`} (open it in a browser)\n`);
  // A list may take its time, or may not be had.
  const stream = await Promise.race([server.sampleUrl().catch(() => undefined), stop]);
  // Shells take a question mark for a pattern.
  if (typeof stream === "string") output.write(`Try: mpv ${secret ? `'${stream}${secret}'` : stream}\n`);
}
