import type { Overhead } from "./overhead.ts";
import type { TrackIndex } from "./track-index.ts";

/** What all that is kept takes on disk: the files of the variants, the folders and the logs. */
export class DiskUsage {
  readonly #index: TrackIndex;
  readonly #overhead: Overhead | undefined;
  readonly #onSwept: () => void;

  /** `onSwept` is told when the folder of variants turns out to be another than it was. */
  constructor(index: TrackIndex, overhead: Overhead | undefined, onSwept: () => void) {
    this.#index = index;
    this.#overhead = overhead;
    this.#onSwept = onSwept;
  }

  /** Bytes, as far as known. */
  get bytes(): number {
    return this.#index.disk + (this.#overhead?.bytes ?? 0);
  }

  /** Bytes, after a look at the logs. Never rejects. */
  async look(): Promise<number> {
    if ((await this.#overhead?.lookAtTop()) === false) this.#onSwept();
    return this.bytes;
  }
}
