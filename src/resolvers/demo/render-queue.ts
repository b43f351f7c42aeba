import { setImmediate as turn } from "node:timers/promises";
import { abortReason } from "../../errors.ts";
import { pieceById } from "./pieces/catalogue.ts";
import { Renderer } from "./synth/renderer.ts";

/** Positions that between them use every kind of sound. */
const WARMING = [
  ["yaman", 1700],
  ["night-ferry", 900],
] as const;

/** Renders blocks one after the other in this thread, giving the event loop a turn between slices. */
export class RenderQueue {
  readonly #renderer = new Renderer();
  #last: Promise<unknown> = Promise.resolve();
  #asked = false;

  /** Block `index` of a piece as PCM; an abort ends it at the next slice. */
  block(id: string, index: number, signal: AbortSignal): Promise<Uint8Array> {
    this.#asked = true;
    const mine = this.#last.then(() => this.#run(id, index, signal));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  /** Until the engine has compiled the inner loops, a block takes ten times as long: does that before anyone waits. */
  async warm(): Promise<void> {
    for (const [id, index] of WARMING) {
      if (this.#asked) return;
      const piece = pieceById(id);
      if (!piece) continue;
      for (const _ of this.#renderer.render(piece, index)) {
        if (this.#asked) return;
        await turn();
      }
    }
  }

  async #run(id: string, index: number, signal: AbortSignal): Promise<Uint8Array> {
    const piece = pieceById(id);
    if (!piece) throw new RangeError("No such piece");
    const slices = this.#renderer.render(piece, index);
    for (;;) {
      if (signal.aborted) throw abortReason(signal);
      const slice = slices.next();
      if (slice.done) return slice.value;
      await turn();
    }
  }
}
