import { LRUCache } from "lru-cache";
import type { Clock } from "../../data-source/clock.ts";
import type { Resolution, ResolveReason } from "../../data-source/resolution.ts";
import type { AfterbayError } from "../../errors.ts";
import type { Member } from "./member.ts";

const MAX_TRACKS = 500;
/** A member whose URL was refused for a track is asked for it after the others this long, ms. */
const REFUSED_MS = 600_000;
/** A member that has no such track, or none that plays, is not asked again for this long, ms. */
const VERDICT_MS = 60_000;
/** Whoever had bytes that nothing names is asked for the rest of them this long, ms: as long as a URL may live. */
const SERVED_MS = 6 * 3_600_000;
/** Times within one need that the members which have the held bytes come first, though their URLs are refused. */
const MAX_LOYALTY = 2;

interface Timed<T> {
  readonly what: T;
  readonly at: number;
}

/** What was handed out last. */
interface Served {
  readonly member: Member;
  readonly url: string;
  /** The member named its bytes. */
  readonly named: boolean;
}

/** What a chain knows of one track in one quality. */
export class TrackMemory {
  readonly #clock: Clock;
  readonly #refused = new Map<Member, Timed<number>>();
  readonly #verdicts = new Map<Member, Timed<AfterbayError>>();
  /** The URLs that were refused within this need. */
  readonly #tries = new Map<Member, string[]>();
  #served: Timed<Served> | undefined;
  #refusedLast: string | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A call for it begins: what its reason says of the URL that was given last. */
  learn(attempt: number, reason: ResolveReason): void {
    if (attempt === 1) this.#tries.clear();
    if (this.#served === undefined || reason === "first" || reason === "expired") return;
    const { member, url } = this.#served.what;
    this.#served = undefined;
    this.#refusedLast = url;
    this.#tries.set(member, [...(this.#tries.get(member) ?? []), url]);
    this.#refused.set(member, this.#now((this.#fresh(this.#refused.get(member), REFUSED_MS) ?? 0) + 1));
    member.refused();
  }

  served(member: Member, { url, variant }: Resolution): void {
    this.#served = this.#now({ member, url, named: variant !== undefined });
    this.#verdicts.delete(member);
  }

  decided(member: Member, verdict: AfterbayError): void {
    this.#verdicts.set(member, this.#now(verdict));
  }

  /** What a member said of the track itself a moment ago. */
  verdictOf(member: Member): AfterbayError | undefined {
    return this.#fresh(this.#verdicts.get(member), VERDICT_MS);
  }

  /** Its URLs that were refused within this need. */
  triesOf(member: Member): number {
    return this.#tries.get(member)?.length ?? 0;
  }

  /** The URL that was refused last. */
  get refusedLast(): string | undefined {
    return this.#refusedLast;
  }

  /** True for a URL of its that was refused within this need. */
  wasRefused(member: Member, { url }: Resolution): boolean {
    return this.#tries.get(member)?.includes(url) === true;
  }

  /**
   * In which order to ask: whoever can go on with the bytes that are held, then those whose URLs were not refused, then the
   * healthy ones, each as configured.
   */
  order(members: readonly Member[], held: string | undefined): readonly Member[] {
    const last = this.#fresh(this.#served, SERVED_MS);
    const worth = (member: Member): readonly number[] => [
      this.#hasBytes(member, held, last) && this.triesOf(member) < MAX_LOYALTY ? 0 : 1,
      this.#fresh(this.#refused.get(member), REFUSED_MS) ?? 0,
      member.health.ailing ? 1 : 0,
    ];
    const worths = new Map(members.map((member) => [member, worth(member)]));
    return members.toSorted((a, b) => compare(worths.get(a) ?? [], worths.get(b) ?? []));
  }

  #hasBytes(member: Member, held: string | undefined, last: Served | undefined): boolean {
    if (held !== undefined) return member.mayHave(held);
    return last?.member === member && !last.named;
  }

  #now<T>(what: T): Timed<T> {
    return { what, at: this.#clock.now() };
  }

  #fresh<T>(timed: Timed<T> | undefined, ms: number): T | undefined {
    return timed !== undefined && this.#clock.now() - timed.at < ms ? timed.what : undefined;
  }
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

/** The memories of the tracks that were asked for last. */
export class TrackMemories {
  readonly #clock: Clock;
  readonly #tracks = new LRUCache<string, TrackMemory>({ max: MAX_TRACKS });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  of(id: string, quality = ""): TrackMemory {
    const key = `${quality}\n${id}`;
    const known = this.#tracks.get(key) ?? new TrackMemory(this.#clock);
    this.#tracks.set(key, known);
    return known;
  }
}
