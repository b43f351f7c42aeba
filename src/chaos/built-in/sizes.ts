import { CHUNK, plays, type TracksJson } from "./track.ts";

/** Lengths at the edges of Afterbay's chunks of 512 KiB. */
export const sizes: TracksJson = {
  "size-0": plays("no bytes", { size: 0 }),
  "size-1": plays("one byte", { size: 1 }),
  "size-chunk-minus-1": plays("one byte less than a chunk", { size: CHUNK - 1 }),
  "size-chunk": plays("a chunk", { size: CHUNK }),
  "size-chunk-plus-1": plays("one byte more than a chunk", { size: CHUNK + 1 }),
  "size-4-chunks": plays("four chunks", { size: 4 * CHUNK }),
};
