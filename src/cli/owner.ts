import { setTimeout as delay } from "node:timers/promises";
import { type About, about as aboutShape } from "./control/answers.ts";
import { type Ask, ask, Gone, Problem, readJson, readLines } from "./control/client.ts";
import type { Shape } from "./control/shapes.ts";
import type { TemporaryOwner } from "./create-owner.ts";
import { interruptible } from "./interruptible.ts";
import type { Io } from "./io.ts";
import { createLog } from "./log.ts";
import type { OwnerSettings } from "./owner-settings.ts";
import { ownerSocketPath } from "./owner-socket.ts";
import { explain, Failure } from "./problems.ts";
import { sourceKeyOf } from "./open-sources.ts";

/** How long an owner that has just started, or is about to end, may be without an answer, ms. */
const SETTLE_MS = 3000;
const PAUSE_MS = 50;
const NOBODY = ["ENOENT", "ECONNREFUSED", "ENOTSOCK", "ENOTDIR"];

/**
 * The process that owns a cache directory, as a command speaks to it. Where that is only another command's, which ends
 * when it is done, the next request goes to whoever owns the directory then, this process if need be.
 */
export class Owner {
  readonly #settings: OwnerSettings;
  readonly #io: Io;
  readonly #signal: AbortSignal;
  #link: Link;
  #defaultSource: string;
  /** Counts the owners; what the last one knew of this command's wishes is gone with it. */
  generation = 0;

  constructor(settings: OwnerSettings, io: Io, signal: AbortSignal, link: Link, defaultSource: string) {
    this.#settings = settings;
    this.#io = io;
    this.#signal = signal;
    this.#link = link;
    this.#defaultSource = defaultSource;
  }

  get about(): About {
    return this.#link.about;
  }

  /** True where this process is the owner itself: what it has begun ends with it. */
  get own(): boolean {
    return this.#link.own !== undefined;
  }

  /** Where an id without a source belongs. */
  get defaultSource(): string {
    return this.#defaultSource;
  }

  /** Asks for one JSON document. */
  async json<T>(request: Ask, shape: Shape<T>): Promise<T> {
    return await this.#try(request, async (response) => await readJson(response, shape, this.#signal));
  }

  /** Asks for something whose answer's status is all there is to know. */
  async status(request: Ask): Promise<number> {
    return await this.#try(request, async (response) => {
      response.resume();
      return response.statusCode ?? 0;
    });
  }

  /** Asks for lines of JSON. */
  async *lines<T>(request: Ask, shape: Shape<T>): AsyncGenerator<T, void, undefined> {
    const response = await this.#try(request, async (answer) => answer);
    try {
      yield* readLines(response, shape, this.#signal);
    } catch (error) {
      throw error instanceof Gone ? this.#lost(error) : error;
    }
  }

  async close(): Promise<void> {
    await this.#link.own?.close();
  }

  async #try<T>(request: Ask, read: (response: Awaited<ReturnType<typeof ask>>) => Promise<T>): Promise<T> {
    const once = async (): Promise<T> =>
      await read(await ask(this.#link.socketPath, { signal: this.#signal, ...request }));
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
      const repeatable = !error.reached || request.method === "GET" || request.method === "PUT";
      const temporary = this.about.url === undefined && !this.own;
      if (!repeatable || !temporary || request.signal !== undefined) throw this.#lost(error);
    }
    this.#link = await connect(this.#settings, this.#io, this.#signal);
    this.generation += 1;
    try {
      return await once();
    } catch (error) {
      throw error instanceof Gone ? this.#lost(error) : error;
    }
  }

  #lost(cause: Gone): Failure {
    const who = this.own ? "the cache" : `the server (process ${this.about.pid})`;
    return new Failure(`${who} went away before it had answered.`, { cause });
  }
}

/** Connects to the owner of the cache directory, or becomes it for a while. Close it when done. */
export async function connectOwner(settings: OwnerSettings, io: Io, signal: AbortSignal): Promise<Owner> {
  const link = await connect(settings, io, signal);
  try {
    return new Owner(settings, io, signal, link, await sourceOfIds(settings, link));
  } catch (error) {
    await link.own?.close();
    throw error;
  }
}

/** Runs a command's work with the owner of its cache directory; the signal aborts when the command is to end. */
export async function withOwner<T>(
  settings: OwnerSettings,
  io: Io,
  work: (owner: Owner, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  return await interruptible(io, async (signal) => {
    const owner = await connectOwner(settings, io, signal);
    try {
      return await work(owner, signal);
    } finally {
      await owner.close();
    }
  });
}

interface Link {
  readonly socketPath: string;
  readonly about: About;
  /** Where this process is the owner. */
  readonly own?: TemporaryOwner;
}

async function connect(settings: OwnerSettings, io: Io, signal: AbortSignal): Promise<Link> {
  const { cacheDir } = settings.options;
  const socketPath = ownerSocketPath(cacheDir);
  const deadline = performance.now() + SETTLE_MS;
  for (;;) {
    const found = await attach(socketPath, signal);
    if (typeof found === "object") return found;
    if (found === "nobody") {
      const link = await become(settings, io, signal);
      if (link !== undefined) return link;
    }
    if (performance.now() > deadline) {
      throw new Failure(`the process that owns ${cacheDir} does not answer; is it of another version?`);
    }
    await delay(PAUSE_MS, undefined, { signal });
  }
}

async function attach(socketPath: string, signal: AbortSignal): Promise<Link | "nobody" | "silent"> {
  const limit = AbortSignal.timeout(SETTLE_MS);
  try {
    const either = AbortSignal.any([signal, limit]);
    const response = await ask(socketPath, { method: "GET", path: "/control/about", signal: either });
    return { socketPath, about: await readJson(response, aboutShape, either) };
  } catch (error) {
    if (limit.aborted && !signal.aborted) return "silent";
    if (error instanceof Problem) {
      throw new Failure("the process that owns the cache directory takes no commands; is it of another version?");
    }
    if (!(error instanceof Gone)) throw error;
    const code: unknown = error.cause instanceof Error ? Reflect.get(error.cause, "code") : undefined;
    if (error.reached || typeof code !== "string") return "silent";
    if (NOBODY.includes(code)) return "nobody";
    // It takes no more connections just now.
    if (["EAGAIN", "ECONNRESET", "EPIPE"].includes(code)) return "silent";
    throw new Failure(`cannot speak to the owner of the cache directory: ${code}.`, { cause: error });
  }
}

/** Undefined where another process was faster. */
async function become(settings: OwnerSettings, io: Io, signal: AbortSignal): Promise<Link | undefined> {
  const { options, logLevel } = settings;
  let own: TemporaryOwner;
  try {
    own = await io.createOwner({ ...options, log: createLog(logLevel, io.stderr) });
  } catch (error) {
    signal.throwIfAborted();
    if ((await attach(ownerSocketPath(options.cacheDir), signal)) !== "nobody") return undefined;
    throw new Failure(explain(error, { host: "", port: 0, cacheDir: options.cacheDir }), { cause: error });
  }
  try {
    const { socketPath } = own;
    const response = await ask(socketPath, { method: "GET", path: "/control/about", signal });
    return { socketPath, about: await readJson(response, aboutShape, signal), own };
  } catch (error) {
    await own.close();
    throw error instanceof Gone ? new Failure("cannot speak to the cache just opened.", { cause: error }) : error;
  }
}

/** A source named on the command line cannot be given to a server that runs; it can be the one that ids belong to. */
async function sourceOfIds({ namedSource }: OwnerSettings, { about, own }: Link): Promise<string> {
  if (namedSource === undefined || own !== undefined) return about.defaultSource;
  const key = await sourceKeyOf(namedSource);
  if (about.sources.includes(key)) return key;
  throw new Failure(
    `the server that runs (process ${about.pid}) has no source ${key}; it has ${about.sources.join(", ")}. ` +
      "Stop it, or start it with that --source.",
  );
}

/** The path of a track in the API; `rest` stands behind it. */
export function trackUrl(prefix: "/api/tracks" | "/api/prefetch" | "/control/file", key: string, rest = ""): string {
  return `${prefix}/${key}${rest}`;
}
