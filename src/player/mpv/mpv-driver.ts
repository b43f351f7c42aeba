import { type Clock, systemClock } from "../../data-source/clock.ts";
import { ConfigError } from "../../errors.ts";
import type { DriverEvent, DriverTrack, PlayerDriver } from "../driver.ts";
import { Emitter } from "../emitter.ts";
import { startMpv } from "./process.ts";
import { Session } from "./session.ts";

export interface MpvDriverOptions {
  /** A name to be found in PATH, or a path. Default `mpv`. */
  readonly program?: string;
  /** Further arguments for mpv, which win over this driver's own. */
  readonly args?: readonly string[];
  readonly clock?: Clock;
}

/** Deaths within a minute that are healed; at one more it is given up. */
const MAX_DEATHS = 3;
const DEATHS_WITHIN_MS = 60_000;

/**
 * Starts mpv and drives it over its JSON IPC. Rejects with a ConfigError of one line where mpv is missing, too old (before
 * 0.35) or does not answer.
 */
export async function startMpvDriver(options: MpvDriverOptions = {}): Promise<PlayerDriver> {
  const driver = new MpvDriver(options);
  await driver.start();
  return driver;
}

/** Keeps an mpv process running, and what is wanted of it through its restarts. */
class MpvDriver implements PlayerDriver {
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #clock: Clock;
  readonly #events = new Emitter<DriverEvent>();
  #session: Session | undefined;
  #starting: Promise<void> | undefined;
  /** To be played by the process that is being started. */
  #wanted: { readonly track: DriverTrack; readonly atMs: number } | undefined;
  #paused = false;
  #volume = 100;
  #deaths: number[] = [];
  #closing: Promise<void> | undefined;

  constructor({ program = "mpv", args = [], clock = systemClock }: MpvDriverOptions) {
    this.#program = program;
    this.#args = args;
    this.#clock = clock;
  }

  async start(): Promise<void> {
    const process = await startMpv({ program: this.#program, args: this.#args, clock: this.#clock });
    const session: Session = new Session(process, {
      clock: this.#clock,
      tell: (event) => this.#events.emit(event),
      onDeath: (how) => this.#onDeath(session, how),
    });
    if (this.#closing !== undefined) {
      await session.close();
      return;
    }
    this.#session = session;
    session.setVolume(this.#volume);
    session.pause(this.#paused);
    if (this.#wanted !== undefined) session.load(this.#wanted.track, this.#wanted.atMs);
    this.#wanted = undefined;
  }

  load(track: DriverTrack, atMs: number): void {
    if (this.#closing !== undefined) return;
    if (this.#session !== undefined) {
      this.#session.load(track, atMs);
      return;
    }
    this.#wanted = { track, atMs };
    if (this.#starting !== undefined) return;
    // Asked for anew after it was given up.
    if (this.#deaths.length > MAX_DEATHS) this.#deaths = [];
    this.#restart();
  }

  setNext(track: DriverTrack | undefined): void {
    this.#session?.setNext(track);
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    this.#session?.pause(paused);
  }

  seek(toMs: number): void {
    this.#session?.seek(toMs);
  }

  setVolume(percent: number): void {
    this.#volume = percent;
    this.#session?.setVolume(percent);
  }

  stop(): void {
    this.#wanted = undefined;
    this.#session?.stop();
  }

  listen(listener: (event: DriverEvent) => void): () => void {
    return this.#events.listen(listener);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#session?.close();
    this.#session = undefined;
    await this.#starting;
  }

  #onDeath(session: Session, how: string): void {
    this.#session = undefined;
    this.#wanted = session.wanted;
    this.#died(how);
  }

  #died(how: string): void {
    const now = this.#clock.now();
    this.#deaths = [...this.#deaths.filter((at) => now - at < DEATHS_WITHIN_MS), now];
    if (this.#deaths.length > MAX_DEATHS) {
      this.#giveUp(`mpv ended ${this.#deaths.length} times within a minute: ${how}`);
    } else if (this.#wanted !== undefined) {
      this.#events.emit({ type: "restarting" });
      this.#restart();
    }
  }

  #giveUp(message: string): void {
    this.#wanted = undefined;
    this.#events.emit({ type: "broken", message });
  }

  #restart(): void {
    this.#starting = this.start().then(
      () => {
        this.#starting = undefined;
      },
      (error: unknown) => {
        this.#starting = undefined;
        // What starting says is final: it has tried.
        this.#giveUp(error instanceof ConfigError ? error.message : "mpv cannot be started");
      },
    );
  }
}
