import type { IncomingMessage } from "node:http";
import type { Clock } from "../data-source/clock.ts";
import type { TrackKey } from "../data-source/data-source.ts";
import type { Quality } from "../data-source/quality.ts";
import { type Client, Playback } from "./playback.ts";
import { type Asked, type RequestKeeper, RequestLog } from "./request-log.ts";

/** A request for a track, as far as the recorder looks at it. */
export interface Flight extends TrackKey {
  readonly quality?: Quality;
  readonly offline?: boolean;
  /** What the player calls this playback. */
  readonly play?: string;
}

/** What a request has come to. */
export type SessionChange = "came" | "answered" | "ended";

export interface FlightRecorderOptions {
  readonly clock: Clock;
  /** Told of each request three times: when it came, when its headers went out (not for errors), and when it ended. */
  readonly onChange?: (playback: Playback, log: RequestLog, change: SessionChange) => void;
}

/** Playbacks that are kept. */
const KEPT = 100;
/** A request of the same player for the same track within this time after the last one belongs to the same playback, ms. */
const SAME_PLAYBACK_MS = 60_000;
const CONDITIONAL = ["if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "if-range"] as const;
/** Of a header, characters; less is shown. */
const MAX_HEADER_LENGTH = 300;
/** IPv4 in IPv6 notation. */
const MAPPED = "::ffff:";

/** A playback that is kept, and what its requests tell. */
interface Entry {
  /** What its requests have in common. */
  readonly group: string;
  readonly playback: Playback;
  readonly keeper: RequestKeeper;
}

/** Keeps the timelines of the last playbacks, within bounds. */
export class FlightRecorder {
  readonly #options: FlightRecorderOptions;
  /** The one whose last request is the oldest first. */
  readonly #entries = new Set<Entry>();
  readonly #current = new Map<string, Entry>();
  readonly #open = new Set<RequestLog>();
  #playbackIds = 0;
  #requestIds = 0;

  constructor(options: FlightRecorderOptions) {
    this.#options = options;
  }

  /** The last playbacks, the one whose last request is the newest first. */
  get playbacks(): Playback[] {
    return [...this.#entries].toReversed().map(({ playback }) => playback);
  }

  /** Requests that have not ended. */
  get open(): ReadonlySet<RequestLog> {
    return this.#open;
  }

  /** A player's request came. */
  begin(request: IncomingMessage, flight: Flight): RequestLog {
    const { playback, keeper } = this.#entryOf(clientOf(request), flight);
    const log = new RequestLog((this.#requestIds += 1), askedOf(request, flight), keeper);
    this.#open.add(log);
    playback.begin(log);
    this.#options.onChange?.(playback, log, "came");
    return log;
  }

  #entryOf(client: Client, flight: Flight): Entry {
    const { source, id, play } = flight;
    const name = play === undefined ? `${client.address}\n${client.agent}` : `play\n${play}`;
    const group = `${name}\n${source}\n${id}`;
    const known = this.#current.get(group);
    if (known !== undefined && this.#goesOn(known.playback)) {
      // The newest goes last.
      this.#entries.delete(known);
      this.#entries.add(known);
      return known;
    }
    const entry = this.#newEntry(group, client, flight);
    this.#current.set(group, entry);
    this.#entries.add(entry);
    if (this.#entries.size > KEPT) this.#forgetOne();
    return entry;
  }

  #goesOn({ play, endedAt }: Playback): boolean {
    // Whoever names its playback knows it after any pause.
    return play !== undefined || endedAt === undefined || this.#options.clock.now() - endedAt < SAME_PLAYBACK_MS;
  }

  #newEntry(group: string, client: Client, { source, id, play }: Flight): Entry {
    const { clock, onChange } = this.#options;
    const playback = new Playback({
      id: (this.#playbackIds += 1),
      track: { source, id },
      client,
      play,
      beganAt: clock.now(),
      beganWall: clock.wall(),
    });
    const keeper: RequestKeeper = {
      now: () => clock.now(),
      onFollow: (log, need, joined) => playback.follow(log, need, joined),
      onVariant: (log, variant) => playback.see(log, variant, clock.now()),
      onAnswered: (log) => onChange?.(playback, log, "answered"),
      onEnded: (log) => {
        this.#open.delete(log);
        playback.end(log);
        onChange?.(playback, log, "ended");
      },
    };
    return { group, playback, keeper };
  }

  /** Keeps to the bound: the oldest goes, of those that are over if there are any. */
  #forgetOne(): void {
    let victim: Entry | undefined;
    for (const entry of this.#entries) {
      victim ??= entry;
      if (entry.playback.isOpen) continue;
      victim = entry;
      break;
    }
    if (victim === undefined) return;
    this.#entries.delete(victim);
    // Another one may have come in its place.
    if (this.#current.get(victim.group) === victim) this.#current.delete(victim.group);
  }
}

function clientOf({ socket, headers }: IncomingMessage): Client {
  const address = socket.remoteAddress ?? "";
  return {
    address: address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address,
    agent: short(headers["user-agent"] ?? ""),
  };
}

function askedOf({ method = "GET", headers }: IncomingMessage, flight: Flight): Asked {
  const { source, quality, offline = false, play } = flight;
  return {
    source,
    method,
    ...(headers.range === undefined ? {} : { range: short(headers.range) }),
    ...(quality === undefined ? {} : { quality }),
    offline,
    conditional: CONDITIONAL.filter((name) => headers[name] !== undefined),
    ...(play === undefined ? {} : { play }),
  };
}

function short(header: string): string {
  return header.length <= MAX_HEADER_LENGTH ? header : header.slice(0, MAX_HEADER_LENGTH);
}
