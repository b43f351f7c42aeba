import { setTimeout as delay } from "node:timers/promises";
import type { TemporaryOwner } from "../create-owner.ts";
import type { Io } from "../io.ts";
import { createLog } from "../log.ts";
import type { OwnerSettings } from "../owner-settings.ts";
import { ownerSocketPath } from "../../cache/cache-dir.ts";
import { explain, Failure } from "../problems.ts";
import { type About, about as aboutShape } from "./answers.ts";
import { ask, Gone, Problem, readJson } from "./client.ts";
import { shortPath } from "./short-path.ts";

/** How long an owner that has just started, or is about to end, may be without an answer, ms. */
const SETTLE_MS = 3000;
const PAUSE_MS = 50;
/** What connecting fails with where nobody listens. */
const NOBODY = ["ENOENT", "ECONNREFUSED", "ENOTSOCK", "ENOTDIR"];
/** And where somebody does, but takes no more connections just now, or is ending. */
const BUSY = ["EAGAIN", "ECONNRESET", "EPIPE"];

/** A way to the owner of a cache directory. */
export interface Link {
  readonly socketPath: string;
  readonly about: About;
  /** This process is the owner itself, for as long as the link lasts. */
  readonly own: boolean;
  close(): Promise<void>;
}

/** Finds the owner of the cache directory, or becomes it. */
export async function openLink(settings: OwnerSettings, io: Io, signal: AbortSignal): Promise<Link> {
  const short = await shortPath(ownerSocketPath(settings.options.cacheDir));
  try {
    const { about, own } = await find(short.path, settings, io, signal);
    const close = async (): Promise<void> => {
      await own?.close();
      await short.release();
    };
    return { socketPath: short.path, about, own: own !== undefined, close };
  } catch (error) {
    await short.release();
    throw error;
  }
}

interface Found {
  readonly about: About;
  readonly own?: TemporaryOwner;
}

async function find(socketPath: string, settings: OwnerSettings, io: Io, signal: AbortSignal): Promise<Found> {
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const answer = await whoIs(socketPath, signal);
    if (typeof answer === "object") return { about: answer };
    const found = answer === "nobody" ? await become(socketPath, settings, io, signal) : undefined;
    if (found !== undefined) return found;
    if (performance.now() > deadline) {
      throw new Failure(
        `the process that owns ${settings.options.cacheDir} does not answer; is it of another version?`,
      );
    }
    await delay(PAUSE_MS, undefined, { signal });
  }
}

async function whoIs(socketPath: string, signal: AbortSignal): Promise<About | "nobody" | "silent"> {
  const limit = AbortSignal.timeout(SETTLE_MS);
  const either = AbortSignal.any([signal, limit]);
  try {
    const response = await ask(socketPath, { method: "GET", path: "/control/about", signal: either });
    return await readJson(response, aboutShape, either);
  } catch (error) {
    if (limit.aborted && !signal.aborted) return "silent";
    if (error instanceof Problem) {
      throw new Failure("the process that owns the cache directory takes no commands; is it of another version?", {
        cause: error,
      });
    }
    if (!(error instanceof Gone)) throw error;
    if (error.reached || BUSY.includes(error.reason)) return "silent";
    if (NOBODY.includes(error.reason)) return "nobody";
    throw new Failure(`cannot speak to the owner of the cache directory (${error.reason}).`, { cause: error });
  }
}

/** Undefined where another process was faster. */
async function become(
  socketPath: string,
  { options, logLevel }: OwnerSettings,
  io: Io,
  signal: AbortSignal,
): Promise<Found | undefined> {
  let own: TemporaryOwner;
  try {
    own = await io.createOwner({ ...options, log: createLog(logLevel, io.stderr) });
  } catch (error) {
    if ((await whoIs(socketPath, signal)) !== "nobody") return undefined;
    throw new Failure(explain(error, { host: "", port: 0, cacheDir: options.cacheDir }), { cause: error });
  }
  try {
    const about = await whoIs(socketPath, signal);
    if (typeof about === "object") return { about, own };
    throw new Failure("the cache was opened, but it does not answer.");
  } catch (error) {
    await own.close();
    throw error;
  }
}
