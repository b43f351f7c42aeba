import { abortable } from "../../data-source/aborting.ts";
import { abortReason, AfterbayError, isAfterbayError } from "../../errors.ts";
import type { Library, LibraryFormat, Player } from "./library.ts";
import { readApart } from "./read-apart.ts";
import type { Transport } from "./transport.ts";

/** A script that could not be had is not asked for again for a while: every track would. */
const RETRY_MS = 30_000;
/** One that is as new as this is not replaced: tracks are refused together. */
const RENEW_MS = 60_000;

/** The script that was in use when an answer was asked for. */
export interface Script {
  /** Counts the scripts of this source. */
  readonly generation: number;
  readonly player: Player;
}

interface Loading {
  readonly generation: number;
  /** When it was begun, monotonic ms. */
  readonly at: number;
  readonly script: Promise<Script>;
}

export interface PlayerScriptOptions {
  readonly transport: Transport;
  /** Ends what is under way. */
  readonly closed: AbortSignal;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/**
 * YouTube's player script, fetched when the first format needs it and kept until it is renewed or the source closes. All
 * who need it share one fetch, which goes on when they leave.
 */
export class PlayerScript {
  readonly #options: PlayerScriptOptions;
  #loading: Loading | undefined;
  #loaded: Script | undefined;
  #failed: { readonly error: AfterbayError; readonly at: number } | undefined;
  #generation = 0;

  constructor(options: PlayerScriptOptions) {
    this.#options = options;
  }

  /** The one at hand; undefined before the first was needed. */
  get loaded(): Script | undefined {
    return this.#loaded;
  }

  /**
   * The script, fetched if there is none. Rejects with `upstream-failed` where it is of no use, `busy` or a failure that may
   * pass where it cannot be had, or the signal's reason.
   */
  async get(library: Library, signal: AbortSignal): Promise<Script> {
    const failed = this.#failed;
    if (failed !== undefined && this.#options.now() - failed.at < RETRY_MS) throw failed.error;
    this.#loading ??= this.#begin(library);
    return await abortable(this.#loading.script, signal);
  }

  /** Drops the script of `generation`: what it made was refused, so YouTube may have another one by now. */
  renew(generation: number): void {
    const loading = this.#loading;
    if (loading?.generation !== generation || this.#options.now() - loading.at < RENEW_MS) return;
    this.#loading = undefined;
    this.#loaded = undefined;
  }

  /** The URL of a format, made by the script. Rejects with `upstream-failed`, or the signal's reason. */
  async decipher(library: Library, format: LibraryFormat, { player }: Script, signal: AbortSignal): Promise<string> {
    // The evaluator is one for the whole library and is given these data: they carry the signal of this call.
    const data = { ...player.data, signal } as Player["data"];
    try {
      return await format.decipher(new library.Player(player.player_id, player.signature_timestamp, data));
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      throw isAfterbayError(error) ? error : useless();
    }
  }

  #begin(library: Library): Loading {
    this.#generation += 1;
    const generation = this.#generation;
    const script = this.#read(library).then((player) => ({ generation, player }));
    const isCurrent = (): boolean => this.#loading?.generation === generation;
    script.then(
      (loaded) => {
        if (isCurrent()) this.#loaded = loaded;
      },
      (error: unknown) => {
        if (isCurrent()) this.#loading = undefined;
        if (isAfterbayError(error)) this.#failed = { error, at: this.#options.now() };
      },
    );
    return { generation, at: this.#options.now(), script };
  }

  async #read(library: Library): Promise<Player> {
    const { transport, closed } = this.#options;
    const script = await readApart(library, transport.fetchUntil(closed), closed).catch((error: unknown) => {
      if (closed.aborted) throw abortReason(closed);
      throw isAfterbayError(error) ? error : useless();
    });
    return new library.Player(script.id, script.signatureTimestamp, script.data);
  }
}

function useless(): AfterbayError {
  return new AfterbayError(
    "upstream-failed",
    "YouTube's player script cannot be read: update youtubei.js, or name clients first that need no script",
  );
}
