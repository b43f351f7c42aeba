import type { Clock } from "../../data-source/clock.ts";
import type { DriverEvent, DriverTrack } from "../driver.ts";
import type { MpvEvent, MpvReply } from "./ipc.ts";
import type { MpvProcess } from "./process.ts";
import { watch } from "./watchdog.ts";

export interface SessionOptions {
  readonly clock: Clock;
  readonly tell: (event: DriverEvent) => void;
  /** The process has ended: how, in words. Not told once it was closed. */
  readonly onDeath: (how: string) => void;
}

/** Positions are told so often, ms. */
const POSITION_EVERY_MS = 200;
/** What mpv tells of when it changes. */
const OBSERVED = ["time-pos", "paused-for-cache"] as const;
/** Audio outputs that write to a file as fast as they can: what mpv says of the time is behind by seconds there. */
const UNTIMED = ["pcm", "lavc"];
/** What FFmpeg says of a connection; the last word counts. */
const CONNECTION_TROUBLE = /^(?:https?|tcp|tls): /;
const RECONNECTS = /Will reconnect/;

/** A track in mpv's hands. */
interface Playing {
  readonly track: DriverTrack;
  /** Sound has begun. */
  started: boolean;
  positionMs: number;
  /** When that was so; undefined while time stands still. */
  positionAt: number | undefined;
  durationMs: number | undefined;
  buffering: boolean;
  /** The connection failed, and nothing was said of another one. */
  cut: boolean;
  toldAt: number;
}

/** One mpv process, from its start to its end: says what is wanted in mpv's words, and what mpv tells in a driver's. */
export class Session {
  readonly #clock: Clock;
  readonly #process: MpvProcess;
  readonly #tell: (event: DriverEvent) => void;
  /** The loads of mpv's playlist entries. */
  readonly #loads = new Map<number, number>();
  #playing: Playing | undefined;
  #next: DriverTrack | undefined;
  /** The playlist entry that mpv has open. */
  #file: number | undefined;
  /** Files that mpv was told to load and has not numbered yet. */
  #unnumbered = 0;
  /** The entry that replaced all others last: mpv numbers upwards, and what has a lower number is on its way out. */
  #replacedBy = 0;
  #paused = false;
  #output: unknown;
  #closed = false;

  constructor(process: MpvProcess, { clock, tell, onDeath }: SessionOptions) {
    this.#process = process;
    this.#clock = clock;
    this.#tell = tell;
    const { ipc } = process;
    ipc.listen((event) => this.#take(event));
    OBSERVED.forEach((name, index) => ipc.send(["observe_property", index + 1, name]));
    ipc.send(["request_log_messages", "warn"]);
    const unwatch = watch(ipc, clock, () => process.kill());
    void process.ended.then((how) => {
      unwatch();
      if (!this.#closed) onDeath(how);
    });
  }

  /** What another process would have to play, and from where, to go on where this one is. */
  get wanted(): { readonly track: DriverTrack; readonly atMs: number } | undefined {
    if (this.#playing !== undefined) return { track: this.#playing.track, atMs: this.#playing.positionMs };
    return this.#next === undefined ? undefined : { track: this.#next, atMs: 0 };
  }

  load(track: DriverTrack, atMs: number): void {
    this.#playing = playing(track, atMs);
    this.#next = undefined;
    this.#loadFile(track, "replace", atMs);
  }

  setNext(track: DriverTrack | undefined): void {
    this.#next = track;
    // All but what plays.
    this.#send(["playlist-clear"], () => {
      if (track === undefined) this.#straighten();
    });
    // If what plays ends just now, it follows all the same.
    if (track !== undefined) this.#loadFile(track, "append-play", 0);
  }

  pause(paused: boolean): void {
    this.#paused = paused;
    if (this.#playing !== undefined) this.#playing.positionAt = undefined;
    this.#send(["set_property", "pause", paused]);
  }

  seek(toMs: number): void {
    if (this.#playing?.started !== true) return;
    this.#playing.positionMs = toMs;
    this.#playing.positionAt = undefined;
    this.#send(["seek", toMs / 1000, "absolute+exact"]);
  }

  setVolume(percent: number): void {
    this.#send(["set_property", "volume", percent]);
  }

  stop(): void {
    this.#playing = undefined;
    this.#next = undefined;
    this.#send(["stop"]);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#process.close();
  }

  #send(command: readonly unknown[], onReply?: (reply: MpvReply) => void): void {
    this.#process.ipc.send(command, onReply);
  }

  #loadFile(track: DriverTrack, flags: "replace" | "append-play", atMs: number): void {
    const { load, url, gainDb = 0 } = track;
    if (!/^https?:\/\//.test(url)) {
      this.#refuse(load, "not an address of http");
      return;
    }
    const options = {
      ...(atMs > 0 ? { start: String(atMs / 1000) } : {}),
      ...(gainDb === 0 ? {} : { af: `lavfi=[volume=${gainDb}dB]` }),
    };
    this.#unnumbered += 1;
    // By names: mpv 0.38 put an index between the flags and the options.
    this.#process.ipc.send({ name: "loadfile", url, flags, options }, (reply) => {
      this.#unnumbered -= 1;
      const id = reply.ok ? entryIdOf(reply.data) : undefined;
      if (id !== undefined) {
        this.#loads.set(id, load);
        if (flags === "replace") this.#replacedBy = id;
        this.#straighten();
      } else if (reply.ok || reply.error !== "closed") this.#refuse(load, "mpv does not take it");
    });
  }

  #refuse(load: number, why: string): void {
    if (this.#playing?.track.load !== load) return;
    this.#playing = undefined;
    this.#tell({ type: "ended", load, reason: "failed", positionMs: 0, why });
  }

  /** If mpv went on to what followed before it heard that something else is to, it is put right. */
  #straighten(): void {
    if (this.#file === undefined || this.#file < this.#replacedBy || this.#unnumbered > 0) return;
    const load = this.#loads.get(this.#file);
    if (load !== undefined && (load === this.#playing?.track.load || load === this.#next?.load)) return;
    this.#send(this.#next === undefined ? ["stop"] : ["playlist-play-index", 1]);
  }

  #take(event: MpvEvent): void {
    switch (event.event) {
      case "start-file":
        this.#onStartFile(event["playlist_entry_id"]);
        break;
      case "end-file":
        this.#onEndFile(event);
        break;
      case "file-loaded":
        this.#onLoaded();
        break;
      case "playback-restart":
        this.#onRestart();
        break;
      case "property-change":
        this.#onProperty(event["name"], event["data"]);
        break;
      case "log-message":
        this.#onLog(event["prefix"], event["text"]);
        break;
      default:
    }
  }

  /** What plays, if mpv has that very file open. */
  get #audible(): Playing | undefined {
    if (this.#file === undefined || this.#playing === undefined) return undefined;
    return this.#loads.get(this.#file) === this.#playing.track.load ? this.#playing : undefined;
  }

  #onStartFile(id: unknown): void {
    if (typeof id !== "number") return;
    this.#file = id;
    const next = this.#next;
    if (next !== undefined && this.#loads.get(id) === next.load) {
      this.#playing = playing(next, 0);
      this.#next = undefined;
    }
    this.#straighten();
  }

  #onEndFile({ playlist_entry_id: id, reason, file_error: error }: MpvEvent): void {
    if (typeof id !== "number") return;
    const ended = this.#file === id ? this.#audible : undefined;
    this.#loads.delete(id);
    if (this.#file === id) this.#file = undefined;
    // Told to stop, or replaced: nobody is told what they wanted.
    if (ended === undefined || reason === "stop" || reason === "quit") return;
    const { load } = ended.track;
    const positionMs = this.#endOf(ended);
    this.#playing = undefined;
    if (reason === "eof") this.#tell({ type: "ended", load, reason: "end", positionMs });
    else if (reason === "redirect") {
      // A playlist: mpv would go on with whatever it names.
      this.#send(["stop"]);
      this.#tell({ type: "ended", load, reason: "failed", positionMs, why: "a playlist, not sound" });
    } else {
      const why = typeof error === "string" ? error : "unknown error";
      const silent = why === "audio output initialization failed";
      this.#tell({ type: "ended", load, reason: silent ? "silent" : "failed", positionMs, why });
    }
  }

  #endOf({ positionMs, positionAt, durationMs, cut }: Playing): number {
    if (UNTIMED.some((name) => name === this.#output)) return cut ? positionMs : (durationMs ?? positionMs);
    const now = positionAt === undefined ? positionMs : positionMs + this.#clock.now() - positionAt;
    return Math.min(now, durationMs ?? now);
  }

  #onLoaded(): void {
    const here = this.#audible;
    if (here !== undefined) this.#tell({ type: "opened", load: here.track.load });
  }

  #onRestart(): void {
    const here = this.#audible;
    if (here === undefined) return;
    const { load } = here.track;
    const type = here.started ? "settled" : "started";
    here.started = true;
    here.toldAt = Number.NEGATIVE_INFINITY;
    this.#tell({ type, load });
    // Asked for, since what is observed is only told when it differs from what it was in the file before.
    this.#ask("time-pos", (seconds) => this.#onPosition(here, seconds));
    if (type === "settled") return;
    this.#ask("current-ao", (output) => {
      this.#output = output;
    });
    this.#ask("duration", (seconds) => {
      if (typeof seconds !== "number" || !(seconds > 0) || this.#audible !== here) return;
      here.durationMs = seconds * 1000;
      this.#tell({ type: "duration", load, durationMs: here.durationMs });
    });
  }

  #ask(property: string, onValue: (value: unknown) => void): void {
    this.#send(["get_property", property], (reply) => {
      if (reply.ok) onValue(reply.data);
    });
  }

  #onProperty(name: unknown, value: unknown): void {
    const here = this.#audible;
    if (here === undefined || !here.started) return;
    if (name === "time-pos") this.#onPosition(here, value);
    if (name === "paused-for-cache" && here.buffering !== (value === true)) {
      here.buffering = value === true;
      here.positionAt = undefined;
      this.#tell({ type: "buffering", load: here.track.load, buffering: here.buffering });
    }
  }

  #onPosition(here: Playing, seconds: unknown): void {
    if (typeof seconds !== "number" || this.#audible !== here) return;
    const now = this.#clock.now();
    here.positionMs = Math.max(0, seconds * 1000);
    here.positionAt = this.#paused || here.buffering ? undefined : now;
    if (now - here.toldAt < POSITION_EVERY_MS) return;
    here.toldAt = now;
    this.#tell({ type: "position", load: here.track.load, positionMs: here.positionMs });
  }

  #onLog(prefix: unknown, text: unknown): void {
    if (prefix !== "ffmpeg" || typeof text !== "string" || this.#playing === undefined) return;
    if (CONNECTION_TROUBLE.test(text)) this.#playing.cut = !RECONNECTS.test(text);
  }
}

function playing(track: DriverTrack, atMs: number): Playing {
  return {
    track,
    started: false,
    positionMs: atMs,
    positionAt: undefined,
    durationMs: undefined,
    buffering: false,
    cut: false,
    toldAt: Number.NEGATIVE_INFINITY,
  };
}

function entryIdOf(data: unknown): number | undefined {
  const id: unknown = typeof data === "object" && data !== null ? Reflect.get(data, "playlist_entry_id") : undefined;
  return typeof id === "number" ? id : undefined;
}
