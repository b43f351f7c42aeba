import type { DriverEvent, DriverTrack, PlayerDriver } from "../../src/player/driver.ts";

/** A driver that plays nothing and notes everything; the test tells what it plays. */
export class FakeDriver implements PlayerDriver {
  /** What was asked for, in words: `load a@1000`, `next b`, `pause`, `seek 2000`, … */
  readonly calls: string[] = [];
  readonly tracks: DriverTrack[] = [];
  next: DriverTrack | undefined;
  /** Names of tracks that cannot be opened. */
  readonly bad = new Set<string>();
  #listener: (event: DriverEvent) => void = () => {};

  load(track: DriverTrack, atMs: number): void {
    this.tracks.push(track);
    this.next = undefined;
    this.calls.push(`load ${nameOf(track)}${atMs === 0 ? "" : `@${atMs}`}`);
  }

  setNext(track: DriverTrack | undefined): void {
    this.next = track;
    this.calls.push(`next ${track === undefined ? "nothing" : nameOf(track)}`);
  }

  pause(paused: boolean): void {
    this.calls.push(paused ? "pause" : "resume");
  }

  seek(toMs: number): void {
    this.calls.push(`seek ${toMs}`);
  }

  setVolume(percent: number): void {
    this.calls.push(`volume ${percent}`);
  }

  stop(): void {
    this.next = undefined;
    this.calls.push("stop");
  }

  listen(listener: (event: DriverEvent) => void): () => void {
    this.#listener = listener;
    return () => {};
  }

  async close(): Promise<void> {
    this.calls.push("close");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // What happens in it

  emit(event: DriverEvent): void {
    this.#listener(event);
  }

  /** The track that was loaded last. */
  get loaded(): DriverTrack {
    const last = this.tracks.at(-1);
    if (last === undefined) throw new Error("Nothing was loaded");
    return last;
  }

  /** Sound begins, of 200 s. */
  begin({ load } = this.loaded, durationMs = 200_000): void {
    this.emit({ type: "opened", load });
    this.emit({ type: "started", load });
    this.emit({ type: "duration", load, durationMs });
  }

  at(positionMs: number, { load } = this.loaded): void {
    this.emit({ type: "position", load, positionMs });
  }

  /** The track ends; what is to follow follows. */
  end(positionMs = 200_000, { load } = this.loaded): void {
    const next = load === this.tracks.at(-1)?.load ? this.next : undefined;
    this.emit({ type: "ended", load, reason: "end", positionMs });
    if (next === undefined || this.next !== next) return;
    this.tracks.push(next);
    this.next = undefined;
    if (this.bad.has(nameOf(next))) this.fail(next);
    else this.begin(next);
  }

  fail({ load } = this.loaded): void {
    this.emit({ type: "ended", load, reason: "failed", positionMs: 0, why: "loading failed" });
  }

  /** What was asked for since the last look, but for what says nothing new. */
  take(): string[] {
    return this.calls.splice(0).filter((call) => call !== "resume" && !call.startsWith("volume"));
  }
}

/** `http://proxy/a?play=…` is `a`. */
export function nameOf({ url }: DriverTrack): string {
  return new URL(url).pathname.slice(1);
}

export function playOf({ url }: DriverTrack): string {
  return new URL(url).searchParams.get("play") ?? "";
}
