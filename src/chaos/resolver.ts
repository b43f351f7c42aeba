import type { ResolutionChanges, ResolverBehaviour, ResolverRule } from "./script/resolve.ts";
import type { TrackScript } from "./script/script.ts";
import type { Upstream } from "./upstream/server.ts";
import type { Resolution, WebhookAnswer } from "./upstream/webhook.ts";

export interface ResolverOptions {
  readonly upstream: Upstream;
  readonly tracks: ReadonlyMap<string, TrackScript>;
  /** Rejects when `signal` aborts. */
  readonly delay: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** The resolver at `/resolve/{id}`: what a good one says, and what the script makes of it. */
export class ScriptedResolver {
  readonly #options: ResolverOptions;
  readonly #calls = new Map<string, number>();
  /** How often each rule has held. */
  readonly #held = new Map<ResolverRule, number>();

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  /** Counts calls and rules anew. */
  reset(): void {
    this.#calls.clear();
    this.#held.clear();
  }

  async resolve(id: string, query: URLSearchParams, signal: AbortSignal): Promise<WebhookAnswer> {
    const track = this.#options.tracks.get(id);
    if (!track) return { status: 404, body: { message: "There is no such track in the script" } };
    const wanted = this.#behaviour(id, track, query);
    if (wanted.latency) await this.#options.delay(wanted.latency, signal);
    // Whoever gave up waiting ends this, too.
    if (wanted.hang) return new Promise(() => {});
    return this.#answer(id, track, wanted);
  }

  /** Every matching rule adds to it; the earlier rule wins a field. */
  #behaviour(id: string, { resolve = [] }: TrackScript, query: URLSearchParams): ResolverBehaviour {
    const call = (this.#calls.get(id) ?? 0) + 1;
    this.#calls.set(id, call);
    let behaviour: ResolverBehaviour = {};
    for (const rule of resolve) {
      const held = this.#held.get(rule) ?? 0;
      if (held >= (rule.times ?? Infinity) || !matches(rule, call, query)) continue;
      this.#held.set(rule, held + 1);
      behaviour = { ...rule.do, ...behaviour };
    }
    return behaviour;
  }

  #answer(id: string, track: TrackScript, wanted: ResolverBehaviour): WebhookAnswer {
    const { status = 200, retryAfter, unplayable, body } = wanted;
    const headers: Record<string, string> = {};
    if (retryAfter !== undefined) headers["retry-after"] = String(retryAfter);
    if (body !== undefined) return { status, body, headers };
    if (unplayable !== undefined) return { status: 410, body: { code: "unplayable", message: unplayable } };
    if (status !== 200) return { status, body: { message: "The script wants it so" }, headers };
    const { lifetime, told, ...limits } = track.urls ?? {};
    const url = this.#options.upstream.url(id, {
      ...limits,
      ...(lifetime !== undefined && { ttl: lifetime }),
      edition: editionOf(wanted),
    });
    const proper = this.#options.upstream.resolution(id, { url }, editionOf(wanted));
    const known = told ? { ...proper, expiresAt: Math.floor(this.#options.now() + (lifetime ?? 0)) } : proper;
    const once = changed(known, track.resolution ?? {}, this.#options.now);
    return { status, body: changed(once, wanted.resolution ?? {}, this.#options.now) };
  }
}

function editionOf({ version, size }: ResolverBehaviour): Pick<ResolverBehaviour, "version" | "size"> {
  return { ...(version !== undefined && { version }), ...(size !== undefined && { size }) };
}

function changed(
  proper: Partial<Resolution>,
  { expiresIn, ...changes }: ResolutionChanges,
  now: () => number,
): Record<string, unknown> {
  const fields = {
    ...proper,
    ...changes,
    ...(expiresIn !== undefined && { expiresAt: Math.floor(now() + expiresIn) }),
  };
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
}

function matches({ when = {} }: ResolverRule, call: number, query: URLSearchParams): boolean {
  const { reason, quality } = when;
  return (
    within(when.call, call) &&
    within(when.attempt, Number(query.get("attempt") ?? Number.NaN)) &&
    (reason === undefined || reason === query.get("reason")) &&
    (quality === undefined || quality === query.get("quality"))
  );
}

function within(
  wanted: number | { readonly from?: number; readonly to?: number } | undefined,
  number: number,
): boolean {
  if (wanted === undefined) return true;
  const { from = 1, to = Infinity } = typeof wanted === "number" ? { from: wanted, to: wanted } : wanted;
  return number >= from && number <= to;
}
