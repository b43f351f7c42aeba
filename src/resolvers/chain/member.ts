import { CircuitBreaker, type Pass } from "../../data-source/circuit-breaker.ts";
import type { Clock } from "../../data-source/clock.ts";
import { Priority } from "../../data-source/data-source.ts";
import type { Resolution, Resolver, ResolveRequest } from "../../data-source/resolution.ts";
import { AfterbayError, type ErrorCode, isAfterbayError } from "../../errors.ts";
import { validateResolution } from "../validate-resolution.ts";
import { Health } from "./health.ts";

/** What a working source says of one track. */
const ABOUT_TRACK: readonly ErrorCode[] = ["not-found", "unplayable", "url-refused"];

/** Why a chain stopped waiting for a member: another one was faster. */
export const OVERTAKEN = new AfterbayError("stalled", "Another source of the chain was faster");

/** One source of a chain, with what is known of its health. */
export class Member {
  readonly key: string;
  readonly resolver: Resolver;
  readonly health: Health;
  readonly #breaker: CircuitBreaker;

  constructor(key: string, resolver: Resolver, clock: Clock) {
    this.key = key;
    this.resolver = resolver;
    this.health = new Health(clock);
    this.#breaker = new CircuitBreaker(clock);
  }

  /** Ms for which it is to be left alone: it fails for all tracks, or has asked for it. */
  get restMs(): number {
    return Math.max(this.#breaker.waitMs, this.health.restMs);
  }

  /** In whose names its variants are. */
  get family(): string {
    return this.resolver.variantFamily ?? this.key;
  }

  /** True for a variant, as a chain names it, whose bytes it may have. */
  mayHave(variant: string): boolean {
    return variant === `${this.key}/` || stripped(variant, this.family) !== undefined;
  }

  /**
   * Asks it. Its variants come out with its family before them, and what it does not name is named within its own key:
   * two members may give one name to different bytes. Rejects with an AfterbayError, or the signal's reason.
   */
  async resolve(id: string, request: ResolveRequest): Promise<Resolution> {
    const pass = this.#breaker.enter(id, Priority.playback);
    if (typeof pass === "number") throw resting(pass);
    try {
      const resolution = validateResolution(await this.resolver.resolve(id, this.#translate(request)));
      if (resolution.id !== undefined && resolution.id !== id) {
        throw new AfterbayError("wrong-answer", "The source answered for another track");
      }
      pass.delivered();
      this.health.succeeded();
      return this.#named(resolution);
    } catch (error) {
      throw this.#judge(error, request.signal, pass);
    } finally {
      pass.over();
    }
  }

  /** A URL of its was refused. */
  refused(): void {
    this.health.failed();
  }

  #translate({ variant, ...request }: ResolveRequest): ResolveRequest {
    const own = variant === undefined ? undefined : stripped(variant, this.family);
    return own === undefined || own === "" ? request : { ...request, variant: own };
  }

  #named(resolution: Resolution): Resolution {
    const { variant, maxWindow = Number.POSITIVE_INFINITY } = resolution;
    const window = Math.min(maxWindow, this.resolver.maxWindow ?? Number.POSITIVE_INFINITY);
    return {
      ...resolution,
      ...(variant === undefined ? { validatorScope: this.key } : { variant: `${this.family}/${variant}` }),
      ...(Number.isFinite(window) && { maxWindow: window }),
    };
  }

  /** What is true of one track alone does not tell against the member. */
  #judge(error: unknown, signal: AbortSignal, pass: Pass): unknown {
    const given = signal.aborted && signal.reason !== OVERTAKEN;
    if (given) return error;
    const failure = isAfterbayError(error)
      ? error
      : new AfterbayError("transient", "The source failed to name a URL", { cause: error });
    if (!ABOUT_TRACK.includes(failure.code)) {
      pass.failed();
      this.health.failed(failure.retryAfterMs);
    }
    return failure;
  }
}

/** A member's own name for a variant of a chain; undefined for that of another family. */
function stripped(variant: string, family: string): string | undefined {
  return variant.startsWith(`${family}/`) ? variant.slice(family.length + 1) : undefined;
}

export function resting(retryAfterMs: number): AfterbayError {
  return new AfterbayError("busy", "A source of the chain fails for all tracks just now", { retryAfterMs });
}
