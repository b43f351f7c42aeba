import type { Clock } from "./data-source/clock.ts";
import type { DataSource } from "./data-source/data-source.ts";
import { type Events, sessionEvent } from "./events.ts";
import { EventFeed } from "./http/event-feed.ts";
import { EventStream } from "./http/event-stream.ts";
import { FlightRecorder } from "./sessions/flight-recorder.ts";
import { Totals } from "./sessions/totals.ts";

export interface TelemetryOptions {
  readonly clock: Clock;
  readonly events: Events;
  /** Keys. */
  readonly sources: readonly string[];
  /** What is stored of a track, by its key. */
  readonly describe: (key: string) => object;
}

/** What can be seen of a proxy at work: the timelines of playbacks, what was counted, and a stream of events. */
export class Telemetry {
  readonly recorder: FlightRecorder;
  readonly totals: Totals;
  readonly stream: EventStream;
  readonly #feed: EventFeed;

  constructor({ clock, events, sources, describe }: TelemetryOptions) {
    this.totals = new Totals(sources);
    this.stream = new EventStream(clock);
    this.#feed = new EventFeed(this.stream, clock, describe);
    this.recorder = new FlightRecorder({
      clock,
      onChange: (playback, log, change) => {
        if (change === "ended") this.totals.of(log.asked.source).ended(log);
        if (!this.stream.isListening && !events.isHeard("session")) return;
        const event = sessionEvent(playback, log, change);
        this.#feed.tell("session", event);
        events.emit("session", event);
      },
    });
    events.on("chunk", (chunk) => this.#feed.chunk(chunk));
    events.on("track", (track) => this.#feed.track(track));
    for (const name of ["evict", "prefetch"] as const) {
      events.on(name, (event) => this.#feed.tell(name, event));
    }
    events.on("evict", ({ bytes, reason }) => this.totals.evicted(bytes, reason));
  }

  /** Counts what is done for each need. */
  watch(upstream: DataSource): DataSource {
    return {
      ...upstream,
      open: (spec, options) => {
        spec.need.watch((event) => this.totals.of(spec.source).traced(event));
        return upstream.open(spec, options);
      },
    };
  }

  /** Tells of the player in this room. */
  player(state: object): void {
    this.#feed.tell("player", state);
  }

  /** Ends the streams of events. */
  close(): void {
    this.#feed.close();
  }
}
