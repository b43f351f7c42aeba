import type { Answer } from "../../src/chaos/upstream/answer.ts";
import { textAnswer, wanted } from "../../src/chaos/upstream/answer.ts";
import { bentAnswer } from "../../src/chaos/upstream/bend.ts";
import { isRedirected, nextRedirect, redirectAnswer } from "../../src/chaos/upstream/redirect.ts";
import { Resource } from "../../src/chaos/upstream/resource.ts";
import type { ResolveRequest } from "../../src/data-source/resolution.ts";
import { AfterbayError } from "../../src/errors.ts";
import { contentOf, MAX_SIZE } from "./content.ts";
import type { Fault, Naming, ResolveFault, TrackPlan } from "./scenario.ts";
import type { VirtualTime } from "./time.ts";

/** Bytes that an upstream has served under one name, and the sizes that it has claimed for them. */
export interface Version {
  readonly key: string;
  readonly sizes: Set<number>;
  bytes(start: number, end: number): Uint8Array;
}

/** One request that reached the upstream. */
export interface UpstreamRequest {
  readonly at: number;
  readonly range: string | undefined;
  status: number;
  version: string | undefined;
  /** Offset of the first byte sent; undefined where the answer is no part of the resource. */
  start: number | undefined;
  /** Bytes of the resource that arrived. */
  sent: number;
  /** The client ended it. */
  cut: boolean;
  /** Anything but a proper answer. */
  readonly disturbed: boolean;
}

const HOUR = 3_600_000;
const MINUTE = 60_000;
/** Resolves of one track within a minute. */
const PER_MINUTE = 20;

class PooledResource extends Resource {
  readonly #number: number;
  readonly #copies: boolean;

  constructor(number: number, name: string, options: ConstructorParameters<typeof Resource>[2], copies: boolean) {
    super(1, name, options);
    this.#number = number;
    this.#copies = copies;
  }

  override bytes(start: number, end: number, version = this.version): Uint8Array {
    const [base, variation] = String(version).split("~").map(Number);
    const ordinal = variation === undefined ? base : (base as number) + 1 + (variation % 5);
    const bytes = contentOf(this.#number, ordinal as number, start, end);
    return this.#copies ? Buffer.from(bytes) : bytes;
  }
}

interface Minted {
  readonly version: number;
  readonly endsAt: number;
  bytes: number;
  requests: number;
}

/** What one track is at its upstream, in one quality. */
export class Original {
  readonly name: string;
  /** Its id. */
  readonly track: string;
  readonly plan: TrackPlan;
  readonly versions = new Map<string, Version>();
  readonly requests: UpstreamRequest[] = [];
  /** An answer's end told nothing: what is missing then cannot be known. */
  mayBeCutShort = false;
  /** Faults have ended: no wall stands, and new URLs do not wear out. */
  isGenerous = false;
  version = 0;
  readonly #number: number;
  readonly #time: VirtualTime;
  readonly #minted = new Map<string, Minted>();
  #size: number;
  #resource: PooledResource;
  #served = 0;
  /** It has said things of its bytes that are not so. */
  #lied = false;

  constructor(number: number, track: string, quality: string, plan: TrackPlan, time: VirtualTime) {
    this.#number = number;
    this.track = track;
    this.name = `${track}.${quality}`;
    this.plan = plan;
    this.#time = time;
    this.#size = plan.size;
    this.#resource = this.#make(0, plan.size);
  }

  /** It has sent everything where a part was asked for. */
  ignoredRange = false;

  /** It has never given a reason to take its bytes for others. */
  get isSteady(): boolean {
    const versions = [...this.versions.values()];
    return (
      this.version === 0 &&
      this.#isNamed &&
      !this.#lied &&
      versions.length < 2 &&
      versions.every(({ sizes }) => sizes.size < 2)
    );
  }

  /** One name for bytes of several lengths, and answers that do not tell which: what is right cannot be known. */
  get isContradictory(): boolean {
    return this.plan.shape === "unknown-length" && [...this.versions.values()].some(({ sizes }) => sizes.size > 1);
  }

  get #isNamed(): boolean {
    return this.#naming !== "weak" && this.#naming !== "none";
  }

  /** Bytes that are others each time have no name. */
  get #naming(): Naming {
    return this.plan.shape.includes("varying") ? "none" : this.plan.naming;
  }

  get size(): number {
    return this.#size;
  }

  change(grow: number): void {
    this.version += 1;
    this.#size = Math.min(MAX_SIZE, Math.max(0, this.#size + grow));
    this.#resource = this.#make(this.version, this.#size);
  }

  /** Ends all URLs. */
  expire(): void {
    for (const minted of this.#minted.values()) minted.requests = 0;
  }

  /** A new URL, and what a good resolver says with it. */
  resolution(otherVariant: boolean): Record<string, unknown> {
    this.#lied ||= otherVariant;
    const { url, hint, typed, maxWindow } = this.plan;
    const naming = this.#naming;
    const signature = String(this.#minted.size + 1);
    const life = url.life ?? 100 * HOUR;
    this.#minted.set(signature, {
      version: this.version,
      endsAt: this.#time.now + life,
      bytes: this.isGenerous ? Number.POSITIVE_INFINITY : (url.bytes ?? Number.POSITIVE_INFINITY),
      requests: this.isGenerous ? Number.POSITIVE_INFINITY : (url.requests ?? Number.POSITIVE_INFINITY),
    });
    const moved = url.moves && naming !== "stale" ? `/${signature}` : "";
    const variant = naming === "resolver" ? `${this.name}-${this.version}` : naming === "stale" ? this.name : undefined;
    return {
      url: `http://media.example.com/${this.name}${moved}?sig=${signature}`,
      variant: variant !== undefined && otherVariant ? `${variant}-other` : variant,
      ...(url.told ? { expiresAt: this.#time.wall + life } : {}),
      ...(hint === "none" ? {} : { contentLength: hint === "right" ? this.#size : this.#size + 1000 }),
      ...(typed ? { contentType: "audio/webm" } : {}),
      ...(maxWindow === undefined ? {} : { maxWindow }),
    };
  }

  /** What is sent in answer, and how it is disturbed on its way. */
  answer(url: URL, headers: Readonly<Record<string, string>>, fault: Fault): Answer {
    const { plan, isGenerous } = this;
    this.#served += 1;
    this.#lied ||= fault.headers !== undefined || fault.unsatisfiable !== undefined;
    const minted = this.#minted.get(url.searchParams.get("sig") ?? "");
    const next = nextRedirect(url);
    if (minted === undefined) return textAnswer(404);
    if (next !== undefined) return next;
    if (minted.requests <= 0 || minted.bytes <= 0 || this.#time.now >= minted.endsAt)
      return textAnswer(plan.url.status);
    // A resolver's variant names what its URL leads to.
    const pinned = this.#naming === "resolver" && minted.version !== this.version;
    if (pinned) return textAnswer(410);
    const resource = this.#resource;
    const asked = { resource: this.name, method: "GET", path: "", query: url.searchParams, headers };
    if (fault.redirect !== undefined && !isRedirected(url))
      return redirectAnswer(url, fault.redirect, "http://elsewhere.example.com");
    const behaviour: Fault = {
      // Where nothing names the bytes, one open request is all that can be made.
      ...(plan.rangeLimit === undefined || !this.#isNamed ? {} : { rangeLimit: plan.rangeLimit }),
      ...(plan.wall === undefined || isGenerous ? {} : { wall: plan.wall }),
      ...(plan.shape === "rangeless" ? { ignoreRange: true } : {}),
      ...(plan.shape === "varying" ? { vary: true } : {}),
      ...(plan.shape === "partly-varying" ? { vary: { from: 1000, to: 200_000 } } : {}),
      ...fault,
    };
    const answer = bentAnswer(resource, { ...asked, ...wanted(resource, headers) }, behaviour, this.#served);
    if (answer.status < 300) minted.requests -= 1;
    this.#register(answer);
    this.ignoredRange ||= answer.status === 200 && headers["range"] !== undefined;
    return answer;
  }

  spend(url: URL, bytes: number): void {
    const minted = this.#minted.get(url.searchParams.get("sig") ?? "");
    if (minted !== undefined) minted.bytes -= bytes;
  }

  /** What answers have claimed. */
  #register(answer: Answer): void {
    const told = /\/(\d+)$/.exec(answer.headers["content-range"] ?? "")?.[1];
    const length = answer.headers["content-length"] ?? String(bodyLength(answer));
    const claimed = told !== undefined ? Number(told) : answer.status === 200 ? Number(length) : undefined;
    // A refusal does not say which version it is of.
    const refused = answer.status === 416 && claimed !== undefined;
    if (refused) for (const { sizes } of this.versions.values()) sizes.add(claimed);
    const name = refused ? this.#resource.version : answer.version;
    if (name === undefined) return;
    if (answer.status === 200 && answer.framing === "close") this.mayBeCutShort = true;
    const key = String(name);
    const bytes = refused ? this.#resource.bytes.bind(this.#resource) : answer.bytes;
    const version = this.versions.get(key) ?? { key, sizes: new Set([this.#size]), bytes };
    this.versions.set(key, version);
    if (claimed !== undefined) version.sizes.add(claimed);
  }

  #make(version: number, size: number): PooledResource {
    const { shape } = this.plan;
    const naming = this.#naming;
    const etag = { resolver: "none", stale: "strong", etag: "strong", date: "none", weak: "weak", none: "none" }[
      naming
    ];
    return new PooledResource(
      this.#number,
      this.name,
      {
        size,
        version: String(version),
        etag,
        unknownLength: shape === "unknown-length",
        contentType: "audio/webm",
        ...(naming === "date" ? { lastModified: new Date(Date.UTC(2025, this.#number, 1 + version)) } : {}),
      },
      shape.includes("varying"),
    );
  }
}

function bodyLength({ body }: Answer): number {
  return body.reduce((sum, part) => sum + (part instanceof Uint8Array ? part.length : part.end - part.start), 0);
}

/** Faults in their order, each after so many good turns. */
export class Plan<T> {
  readonly #faults: { readonly skip: number; readonly fault: T }[];
  #skipped = 0;

  constructor(faults: readonly { readonly skip: number; readonly fault: T }[]) {
    this.#faults = [...faults];
  }

  next(): T | undefined {
    const [first] = this.#faults;
    if (first === undefined) return undefined;
    if (this.#skipped < first.skip) {
      this.#skipped += 1;
      return undefined;
    }
    this.#skipped = 0;
    this.#faults.shift();
    return first.fault;
  }

  clear(): void {
    this.#faults.length = 0;
  }
}

/** A resolver that fails by plan. What it is still to say is lost with its `owner`. */
export class PlannedResolver {
  /** When it was asked in the last minute, ms, by id. */
  readonly #calls = new Map<string, number[]>();
  readonly #find: (id: string, quality: string | undefined) => { original: Original; plan: Plan<ResolveFault> };
  readonly #onTooMany: (what: string) => void;
  /** Calls that it has not answered. */
  active = 0;
  readonly #wait: (ms: number) => Promise<void>;
  readonly #time: VirtualTime;

  constructor(
    find: (id: string, quality: string | undefined) => { original: Original; plan: Plan<ResolveFault> },
    time: VirtualTime,
    owner: object,
    onTooMany: (what: string) => void,
  ) {
    this.#onTooMany = onTooMany;
    this.#find = find;
    this.#time = time;
    this.#wait = (ms) => new Promise((resolve) => time.after(ms, resolve, owner));
  }

  async resolve(id: string, { quality }: ResolveRequest): Promise<never> {
    const { now } = this.#time;
    const calls = [...(this.#calls.get(id) ?? []).filter((at) => now - at < MINUTE), now];
    this.#calls.set(id, calls);
    if (calls.length > PER_MINUTE) this.#onTooMany(`${id} was resolved ${calls.length} times within a minute`);
    const { original, plan } = this.#find(id, quality);
    const fault = plan.next();
    this.active += 1;
    try {
      await this.#wait(fault?.kind === "slow" ? fault.ms : 1);
      return (await this.#answer(id, original, fault)) as never;
    } finally {
      this.active -= 1;
    }
  }

  async #answer(id: string, original: Original, fault: ResolveFault | undefined): Promise<unknown> {
    const good = original.resolution(fault?.kind === "other-variant");
    switch (fault?.kind) {
      case undefined:
      case "slow":
      case "other-variant":
        return good;
      case "throws":
        throw new Error("The resolver is out of order");
      case "hangs":
        return await new Promise<never>(() => {});
      case "other-id":
        return { ...good, id: `${id}-other` };
      case "not-a-url":
        return { ...good, url: "media" };
      case "file-url":
        return { ...good, url: "file:///etc/passwd" };
      case "not-found":
        throw new AfterbayError("not-found", "No such track");
      case "unplayable":
        throw new AfterbayError("unplayable", "Gone for good");
      case "nothing":
      default:
        return undefined;
    }
  }
}
