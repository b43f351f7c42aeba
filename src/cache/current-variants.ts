import { randomBytes } from "node:crypto";
import type { Clock } from "../data-source/clock.ts";
import type { Opened } from "../data-source/data-source.ts";
import { expectationOf } from "../data-source/resuming.ts";
import { shortHash, validatorsConflict } from "../data-source/validators.ts";
import { AfterbayError } from "../errors.ts";
import type { VariantName } from "./variant-name.ts";
import { stemOf } from "./variant-paths.ts";
import { COPY_MARK, type LiveVariant, type VariantFacts } from "./live-variant.ts";
import type { LiveVariants } from "./live-variants.ts";
import type { IndexEntry } from "./index-entry.ts";
import { metaOf } from "./track-meta.ts";
import type { VariantRecords } from "./variant-records.ts";
import type { Want } from "./open-track.ts";

/** A variant stays current this long after its last reader, ms. */
const CURRENT_MS = 10 * 60_000;
/** Which variant of a track is the current one, and until when. */
export class CurrentVariants {
  readonly #records: VariantRecords;
  readonly #live: LiveVariants;
  readonly #clock: Clock;

  constructor(records: VariantRecords, live: LiveVariants, clock: Clock) {
    this.#records = records;
    this.#live = live;
    this.#clock = clock;
  }

  /** The current variant; undefined if the upstream must be asked. Throws `variant-changed`. */
  async find(want: Want): Promise<LiveVariant | undefined> {
    const [stem, entry] = this.#records.current(want) ?? [];
    if (stem === undefined || entry === undefined) return undefined;
    const live = this.#live.get(stem);
    const binding = entry.complete || live?.busy === true || this.#idleMs(stem, entry) < CURRENT_MS;
    const lost = this.#records.isLost(stem) && !entry.complete;
    if (lost && binding && want.position > 0 && want.conditional !== true) {
      throw new AfterbayError("variant-changed", "This track's bytes were replaced by others; begin again from 0");
    }
    // Of bytes that nothing names, the rest cannot be had after a while.
    const stale = !binding && entry.facts.upstreamName === undefined;
    if (lost || stale) {
      this.#records.setCurrent(want, undefined);
      return undefined;
    }
    return await this.#live.revive(stem);
  }

  /** Hands over the variant that an upstream's answer belongs to, new or known, which becomes the current one. */
  async establish(opened: Opened, want: Want, take: (variant: LiveVariant) => void): Promise<LiveVariant> {
    const facts = factsOf(opened);
    const meta = metaOf(opened);
    for (;;) {
      const name = this.#nameFor(want, facts);
      const stem = stemOf(name);
      this.#records.regain(stem);
      const entry = this.#records.get(stem);
      if (entry === undefined) this.#records.add(stem, { ...name, facts, meta });
      else if (entry.facts.upstreamName === undefined) this.#records.learn(stem, { facts, meta });
      else this.#records.describe(stem, meta);
      this.#records.setCurrent(want, stem);
      const known = this.#records.get(stem)?.facts ?? facts;
      const variant = await (this.#live.known(stem) ?? this.#live.bringToLife(stem, name, known, want.quality));
      // It may have been deleted meanwhile.
      if (this.#live.get(stem) !== variant || this.#records.isDoomed(stem)) continue;
      take(variant);
      return variant;
    }
  }

  #nameFor({ source, id }: Want, { upstreamName, size, validator }: VariantFacts): VariantName {
    const named = { source, id, variant: upstreamName ?? `own-${randomBytes(8).toString("hex")}` };
    const known = this.#records.get(stemOf(named));
    // The same name for other bytes: a resolver's mistake, or a file replaced in place. The old bytes are parked.
    const conflicts =
      known !== undefined &&
      ((size !== undefined && known.facts.size !== undefined && known.facts.size !== size) ||
        validatorsConflict(known.facts.validator, validator));
    const parked = conflicts
      ? { ...named, variant: `${named.variant}~${shortHash(JSON.stringify([size, validator]))}` }
      : named;
    // Whoever still plays what was deleted keeps it; the same bytes are fetched anew beside it.
    return this.#records.isDoomed(stemOf(parked))
      ? { ...parked, variant: `${parked.variant}${COPY_MARK}${randomBytes(4).toString("hex")}` }
      : parked;
  }

  /** Ms since the last reading ended. */
  #idleMs(stem: string, entry: IndexEntry): number {
    const last = this.#live.get(stem)?.lastReadAt;
    return last !== undefined ? this.#clock.now() - last : Math.max(0, this.#clock.wall() - entry.playedAt);
  }
}

function factsOf(opened: Opened): VariantFacts {
  const { variant: upstreamName, resolverVariant, size, validator } = expectationOf(opened, undefined);
  const contentType = opened.contentType ?? opened.resolution?.contentType;
  return {
    ...(upstreamName === undefined ? {} : { upstreamName }),
    ...(resolverVariant === undefined ? {} : { resolverVariant }),
    ...(size === undefined ? {} : { size }),
    ...(validator === undefined ? {} : { validator }),
    ...(contentType === undefined ? {} : { contentType }),
  };
}
