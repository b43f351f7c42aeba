import { hash32, hex32 } from "./bytes.ts";
import type { Clock } from "./clock.ts";
import type { Edition } from "./resource.ts";

export interface UrlLimits {
  /** Milliseconds from now. */
  readonly ttl?: number;
  /** Bytes sent; an answer under way when they are spent is still sent whole. */
  readonly bytes?: number;
  readonly requests?: number;
  /** What an expired URL is answered with. Default 403. */
  readonly status?: number;
  /** What of the resource is served there. Default: what it is then. */
  readonly edition?: Edition;
}

interface Minted {
  readonly resource: string;
  readonly status: number;
  readonly edition: Edition;
  expiresAt: number;
  bytes: number;
  requests: number;
}

/** The signatures that make a URL good for one resource, for a while. */
export class Urls {
  readonly #minted = new Map<string, Minted>();
  readonly #seed: number;
  readonly #clock: Clock;

  constructor(seed: number, clock: Clock) {
    this.#seed = seed;
    this.#clock = clock;
  }

  /** A new signature for `resource`. */
  mint(resource: string, limits: UrlLimits): string {
    const { ttl = Infinity, bytes = Infinity, requests = Infinity, status = 403, edition = {} } = limits;
    const signature = hex32(hash32(`${resource}\n${this.#minted.size + 1}`, this.#seed));
    this.#minted.set(signature, { resource, status, edition, expiresAt: this.#clock.now() + ttl, bytes, requests });
    return signature;
  }

  /** Counts a request; the status to refuse it with, if it has to be. */
  refusal(resource: string, signature: string): number | undefined {
    const minted = this.#minted.get(signature);
    if (!minted || minted.resource !== resource) return 403;
    if (minted.requests <= 0 || minted.bytes <= 0 || this.#clock.now() >= minted.expiresAt) return minted.status;
    minted.requests--;
    return undefined;
  }

  edition(signature: string): Edition {
    return this.#minted.get(signature)?.edition ?? {};
  }

  spend(signature: string, bytes: number): void {
    const minted = this.#minted.get(signature);
    if (minted) minted.bytes -= bytes;
  }

  /** Ends one URL, or all of a resource. */
  expire(urlOrResource: string): void {
    const signature = URL.canParse(urlOrResource) ? new URL(urlOrResource).searchParams.get("sig") : undefined;
    for (const [name, minted] of this.#minted) {
      if (name === signature || minted.resource === urlOrResource) minted.expiresAt = -Infinity;
    }
  }
}
