import type { IncomingMessage } from "node:http";
import type { Clock } from "../data-source/clock.ts";
import type { Quality, TrackKey } from "../data-source/data-source.ts";
import { redactText } from "../redact.ts";
import { type Client, Playback } from "./playback.ts";
import { type Asked, RequestLog } from "./request-log.ts";

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
const MAX_AGENT_LENGTH = 120;
const MAX_RANGE_LENGTH = 80;

/** Keeps the timelines of the last playbacks, within bounds. */
export class FlightRecorder {
  readonly #options: FlightRecorderOptions;
  /** The one whose last request is the oldest first. */
  readonly #playbacks = new Set<Playback>();
  readonly #current = new Map<string, Playback>();
  readonly #open = new Set<RequestLog>();
  #playbackIds = 0;
  #requestIds = 0;

  constructor(options: FlightRecorderOptions) {
    this.#options = options;
  }

  /** The last playbacks, the one whose last request is the newest first. */
  get playbacks(): Playback[] {
    return [...this.#playbacks].toReversed();
  }

  /** Requests that have not ended. */
  get open(): ReadonlySet<RequestLog> {
    return this.#open;
  }

  /** A player's request came. */
  begin(request: IncomingMessage, flight: Flight): RequestLog {
    const { clock, onChange } = this.#options;
    const now = clock.now();
    const client = clientOf(request);
    const playback = this.#playbackOf(client, flight, now);
    const log = new RequestLog((this.#requestIds += 1), askedOf(request, flight), {
      now: () => clock.now(),
      onFollow: (one, need, joined) => playback.follow(one, need, joined),
      onVariant: (one, variant) => playback.see(one, variant, clock.now()),
      onAnswered: (one) => onChange?.(playback, one, "answered"),
      onEnded: (one) => {
        this.#open.delete(one);
        playback.end(one);
        onChange?.(playback, one, "ended");
      },
    });
    this.#open.add(log);
    playback.begin(log);
    onChange?.(playback, log, "came");
    return log;
  }

  #playbackOf(client: Client, { source, id, play }: Flight, now: number): Playback {
    const name = play === undefined ? `${client.address}\n${client.agent}` : `play\n${play}`;
    const group = `${name}\n${source}\n${id}`;
    const known = this.#current.get(group);
    // Whoever names its playback knows it after any pause.
    const goesOn = play !== undefined || known?.isOpen === true;
    const isSame = goesOn || now - (known?.endedAt ?? Number.NEGATIVE_INFINITY) < SAME_PLAYBACK_MS;
    if (known !== undefined && isSame) {
      // The newest goes last.
      this.#playbacks.delete(known);
      this.#playbacks.add(known);
      return known;
    }
    const playback = new Playback({
      id: (this.#playbackIds += 1),
      track: { source, id },
      client,
      play,
      beganAt: now,
      beganWall: this.#options.clock.wall(),
    });
    this.#current.set(group, playback);
    this.#playbacks.add(playback);
    this.#forget();
    return playback;
  }

  /** Keeps to the bound: the oldest goes, of those that are over if there are any. */
  #forget(): void {
    if (this.#playbacks.size <= KEPT) return;
    const all = [...this.#playbacks];
    const victim = all.find(({ isOpen }) => !isOpen) ?? all[0];
    if (victim === undefined) return;
    this.#playbacks.delete(victim);
    for (const [group, playback] of this.#current) if (!this.#playbacks.has(playback)) this.#current.delete(group);
  }
}

function clientOf({ socket, headers }: IncomingMessage): Client {
  const address = (socket.remoteAddress ?? "").replace(/^::ffff:/, "");
  return { address, agent: shown(headers["user-agent"] ?? "", MAX_AGENT_LENGTH) };
}

function askedOf({ method = "GET", headers }: IncomingMessage, flight: Flight): Asked {
  const { source, quality, offline = false, play } = flight;
  return {
    source,
    method,
    ...(headers.range === undefined ? {} : { range: shown(headers.range, MAX_RANGE_LENGTH) }),
    ...(quality === undefined ? {} : { quality }),
    offline,
    conditional: CONDITIONAL.filter((name) => headers[name] !== undefined),
    ...(play === undefined ? {} : { play }),
  };
}

/** What a client wrote, fit to be shown. */
function shown(text: string, maxLength: number): string {
  const plain = redactText(text.slice(0, 2 * maxLength).replace(/[^\x21-\x7e]+/g, " "));
  return plain.length <= maxLength ? plain : `${plain.slice(0, maxLength)}…`;
}
