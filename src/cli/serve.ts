import type { Io } from "./io.ts";
import { createLog } from "./log.ts";
import { explain, Failure } from "./problems.ts";
import type { Server } from "./server.ts";
import { type ServeSettings, serveSettings } from "./serve-settings.ts";
import { stopping } from "./stopping.ts";
import { version } from "./version.ts";

/** `afterbay serve`: runs a server until it is told to stop. `given` answers what the command line says of a flag. */
export async function serve(given: (name: string) => readonly string[], io: Io): Promise<void> {
  const settings = await serveSettings(given, io.env);
  const log = createLog(settings.logLevel, io.stderr);
  const stop = stopping(io.signals, io.exit, settings.exitWithParent ? io.stdin : undefined);
  try {
    const server = await io.createServer({ ...settings.server, log });
    if (!stop.now()) io.stdout.write(announcement(server, settings));
    await stop.asked;
    await server.close();
  } catch (error) {
    log.debug({ err: error }, "serve failed");
    throw new Failure(explain(error, settings.server), { cause: error });
  } finally {
    stop.end();
  }
}

function announcement({ url, firstTrack }: Server, { json, server }: ServeSettings): string {
  if (json) return `${JSON.stringify({ event: "ready", url, pid: process.pid, version })}\n`;
  // A terminal's scrollback is no place for the token itself.
  const secret = server.token === undefined ? "" : "?token=TOKEN";
  const lines = [`Listening on ${url}${secret && `/${secret}`} (open it in a browser)`];
  // Quotes, since shells take a question mark for a pattern.
  const stream = `${url}/stream/${firstTrack?.key}${secret}`;
  if (firstTrack !== undefined) lines.push(`Try: mpv ${secret ? `'${stream}'` : stream}`);
  return `${lines.join("\n")}\n`;
}
