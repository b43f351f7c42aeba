import type { OnFollow } from "../cache/fill.ts";
import type { ReadingStats } from "../cache/variant-reader.ts";
import type { Quality } from "../data-source/quality.ts";

/**
 * How a request ended: all that was announced was sent; the client left; the connection was cut after the headers; an
 * error was answered. `open` while it goes on.
 */
export type Outcome = "open" | "complete" | "left" | "cut" | "failed";

/** Bytes that a player got, by where they were. */
export interface ServedBytes {
  readonly disk: number;
  /** Fetched for others, and not on disk yet. */
  readonly memory: number;
  readonly upstream: number;
}

/** What a request asked for. */
export interface Asked {
  readonly source: string;
  readonly method: string;
  /** As it came: not fit to be shown. */
  readonly range?: string;
  readonly quality?: Quality;
  readonly offline: boolean;
  /** The names of its conditional headers, in lower case. */
  readonly conditional: readonly string[];
  /** What its player calls this playback: `?play=` of its URL. */
  readonly play?: string;
}

/** What its answer's headers said. */
export interface Answered {
  readonly status: number;
  /** Bytes [start, end) of the track; absent where there is no body, without an end where the size is not known. */
  readonly start?: number;
  readonly end?: number;
  readonly cache?: "hit" | "partial" | "miss";
}

/** A variant, as far as a timeline shows it. */
export interface SeenVariant {
  readonly name: string;
  readonly contentType?: string;
  /** Bytes. */
  readonly size?: number;
}

/** The error that ended a request. */
export interface RequestError {
  readonly code: string;
  readonly status: number;
  readonly retryAfterMs?: number;
}

/** Whoever keeps the timeline that a request belongs to. */
export interface RequestKeeper {
  now(): number;
  onFollow(log: RequestLog, ...followed: Parameters<OnFollow>): void;
  onVariant(log: RequestLog, variant: SeenVariant): void;
  onAnswered(log: RequestLog): void;
  onEnded(log: RequestLog): void;
}

const NOTHING: ReadingStats = { diskBytes: 0, memoryBytes: 0, upstreamBytes: 0 };

/** One request of a player, from its arrival to its end. Times are monotonic ms. */
export class RequestLog {
  /** Counts up over all requests. */
  readonly id: number;
  readonly asked: Asked;
  readonly cameAt: number;
  variant: SeenVariant | undefined;
  answer: Answered | undefined;
  headersAt: number | undefined;
  firstByteAt: number | undefined;
  /** Where the first byte was. */
  firstFrom: keyof ServedBytes | undefined;
  endedAt: number | undefined;
  outcome: Outcome = "open";
  /** The error's, as the client gets or would have got to know it. */
  code: string | undefined;
  /** What the error said of when to try again. */
  retryAfterMs: number | undefined;
  readonly #keeper: RequestKeeper;
  #stats = NOTHING;

  constructor(id: number, asked: Asked, keeper: RequestKeeper) {
    this.id = id;
    this.asked = asked;
    this.#keeper = keeper;
    this.cameAt = keeper.now();
  }

  get bytes(): ServedBytes {
    const { diskBytes, memoryBytes, upstreamBytes } = this.#stats;
    return { disk: diskBytes, memory: memoryBytes, upstream: upstreamBytes };
  }

  /** Its bytes are to come from a need, which may have been begun for others. */
  readonly onFollow: OnFollow = (need, joined) => this.#keeper.onFollow(this, need, joined);

  entered(variant: SeenVariant): void {
    this.variant = variant;
    this.#keeper.onVariant(this, variant);
  }

  /** `stats` go on counting. */
  reading(stats: ReadingStats): void {
    this.#stats = stats;
  }

  /** Headers go out. */
  answered(answer: Answered): void {
    this.answer = answer;
    this.headersAt = this.#keeper.now();
    this.#keeper.onAnswered(this);
  }

  /** The first byte is here. */
  firstByte(): void {
    this.firstByteAt = this.#keeper.now();
    const { diskBytes, memoryBytes } = this.#stats;
    this.firstFrom = diskBytes > 0 ? "disk" : memoryBytes > 0 ? "memory" : "upstream";
  }

  /** The first end counts. */
  ended(outcome: Exclude<Outcome, "open">, error?: RequestError): void {
    if (this.outcome !== "open") return;
    // What was read is known now: its reader need not be.
    this.#stats = { ...this.#stats };
    this.outcome = outcome;
    this.code = error?.code;
    this.retryAfterMs = error?.retryAfterMs;
    this.endedAt = this.#keeper.now();
    if (outcome === "failed" && error !== undefined) {
      this.answer = { status: error.status };
      this.headersAt = this.endedAt;
    }
    this.#keeper.onEnded(this);
  }
}
