import type { IncomingMessage } from "node:http";
import { ConfigError } from "../errors.ts";
import type { About } from "./control/answers.ts";
import { type Ask, ask, Gone, readJson, readLines } from "./control/client.ts";
import { type Link, openLink } from "./control/link.ts";
import type { Shape } from "./control/shapes.ts";
import { interruptible } from "./interruptible.ts";
import type { Io } from "./io.ts";
import { sourceKeyOf } from "./open-sources.ts";
import type { OwnerSettings } from "./owner-settings.ts";
import { Failure } from "./problems.ts";

/**
 * The process that owns a cache directory, as a command speaks to it. Where that is only another command's, which ends
 * when it is done, the next request goes to whoever owns the directory then, this process if need be.
 */
export class Owner {
  readonly #relink: () => Promise<Link>;
  readonly #signal: AbortSignal;
  #link: Link;
  #renewing: Promise<void> | undefined;
  /** Where an id without a source belongs. */
  readonly defaultSource: string;
  /** Counts the owners: what one knew of this command's wishes is gone with it. */
  generation = 0;

  constructor(link: Link, defaultSource: string, relink: () => Promise<Link>, signal: AbortSignal) {
    this.#link = link;
    this.defaultSource = defaultSource;
    this.#relink = relink;
    this.#signal = signal;
  }

  get about(): About {
    return this.#link.about;
  }

  /** Where it answers. */
  get socketPath(): string {
    return this.#link.socketPath;
  }

  /** True where it is another command, which ends when it is done. */
  get isPassing(): boolean {
    return this.about.url === undefined && !this.own;
  }

  /** True where this process is the owner itself: what it has begun ends with it. */
  get own(): boolean {
    return this.#link.own;
  }

  /** Asks for one JSON document. */
  async json<T>(request: Ask, shape: Shape<T>): Promise<T> {
    return await this.#send(request, async (response) => await readJson(response, shape, this.#signal));
  }

  /** Asks for something whose answer's status is all there is to know. */
  async status(request: Ask): Promise<number> {
    return await this.#send(request, async (response) => {
      response.resume();
      return response.statusCode ?? 0;
    });
  }

  /** Asks for lines of JSON. */
  async *lines<T>(request: Ask, shape: Shape<T>): AsyncGenerator<T, void, undefined> {
    const response = await this.#send(request, async (answer) => answer);
    try {
      yield* readLines(response, shape, this.#signal);
    } catch (error) {
      throw error instanceof Gone ? this.#lost(error) : error;
    }
  }

  /** Finds who owns the directory now, or becomes the owner. */
  async renew(): Promise<void> {
    // Twice at once, this process would find itself.
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    await this.#renewing;
  }

  async close(): Promise<void> {
    await this.#renewing?.catch(() => {});
    await this.#link.close();
  }

  async #renew(): Promise<void> {
    await this.#link.close();
    this.#link = await this.#relink();
    this.generation += 1;
  }

  async #send<T>(request: Ask, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
    const once = async (): Promise<T> =>
      await read(await ask(this.#link.socketPath, { signal: this.#signal, ...request }));
    try {
      return await once();
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
      if (!this.#mayRepeat(request, error)) throw this.#lost(error);
    }
    await this.renew();
    try {
      return await once();
    } catch (error) {
      throw error instanceof Gone ? this.#lost(error) : error;
    }
  }

  /** Only where the owner was to end, the request cannot have been half-done, and nobody is in a hurry. */
  #mayRepeat({ method, signal }: Ask, { reached }: Gone): boolean {
    return this.isPassing && (!reached || method === "GET" || method === "PUT") && signal === undefined;
  }

  #lost(cause: Gone): Failure {
    const who = this.own ? "the cache" : `the server (process ${this.about.pid})`;
    return new Failure(`${who} went away before it had answered.`, { cause });
  }
}

/** Connects to the owner of the cache directory, or becomes it for a while. Close it when done. */
export async function connectOwner(settings: OwnerSettings, io: Io, signal: AbortSignal): Promise<Owner> {
  const relink = () => openLink(settings, io, signal);
  const link = await relink();
  try {
    return new Owner(link, await sourceOfIds(settings, link), relink, signal);
  } catch (error) {
    await link.close();
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

/** A source named on the command line cannot be given to a server that runs; it can be the one that ids belong to. */
async function sourceOfIds({ namedSource }: OwnerSettings, { about, own }: Link): Promise<string> {
  if (namedSource === undefined) return about.defaultSource;
  if (about.sources.includes(namedSource)) return namedSource;
  if (own) return about.defaultSource;
  const key = await sourceKeyOf(namedSource).catch((error: unknown) => {
    if (!(error instanceof ConfigError)) throw error;
    const message = `${error.message}. The server that runs (process ${about.pid}) has ${about.sources.join(", ")}.`;
    throw new Failure(message, { cause: error });
  });
  if (about.sources.includes(key)) return key;
  throw new Failure(
    `the server that runs (process ${about.pid}) has no source ${key}; it has ${about.sources.join(", ")}. ` +
      "Stop it, or start it with that --source.",
  );
}

/** The path of a track in the API; `rest` stands behind it. */
export function trackUrl(prefix: "/api/tracks" | "/control/file", key: string, rest = ""): string {
  return `${prefix}/${key}${rest}`;
}
