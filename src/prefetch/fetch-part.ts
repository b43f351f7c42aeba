import type { TrackCache } from "../cache/track-cache.ts";
import { CHUNK_SIZE } from "../data-source/data-source.ts";
import { AfterbayError } from "../errors.ts";
import type { Job } from "./plan.ts";

/** A job that is being done. It may be wanted for another reason meanwhile. */
export interface Running {
  job: Job;
  readonly controller: AbortController;
  /** Makes what runs as urgent as its job is now. */
  onLevel: () => void;
}

/** Told of bytes that came: how many, and each chunk once for each hole that is filled. */
export interface Arrivals {
  onBytes(job: Job, bytes: number): void;
  onChunk(job: Job, index: number): void;
}

/**
 * Reads what is missing of a part of a track, so that it is stored. Rejects with an AfterbayError (`no-space` where it
 * does not fit beside what others wish for), or the abort's reason.
 */
export async function fetchPart(cache: TrackCache, running: Running, arrivals: Arrivals): Promise<void> {
  const { key, part } = running.job;
  const { signal } = running.controller;
  const track = await cache.enter({ ...key, position: 0, level: running.job.level, signal });
  try {
    const { variant } = track;
    const wanted = part === "head" ? CHUNK_SIZE : Number.POSITIVE_INFINITY;
    for (;;) {
      const end = Math.min(wanted, variant.size ?? wanted);
      const [hole] = variant.missing(0, end);
      if (hole === undefined || variant.endsAt(hole.start)) return;
      const needed = Math.min(hole.end, end) - hole.start;
      if (Number.isFinite(needed) && !cache.hasRoom(needed)) {
        throw new AfterbayError("no-space", "The cache's budget does not hold this track");
      }
      const reader = track.read(hole.start, Math.min(hole.end, end));
      running.onLevel = () => {
        reader.level = running.job.level;
        variant.onReaderWaits();
      };
      running.onLevel();
      try {
        let told = -1;
        for await (const bytes of reader) {
          arrivals.onBytes(running.job, bytes.length);
          const last = Math.floor((reader.position - 1) / CHUNK_SIZE);
          const first = Math.floor((reader.position - bytes.length) / CHUNK_SIZE);
          for (let index = Math.max(first, told + 1); index <= last; index += 1) arrivals.onChunk(running.job, index);
          told = last;
        }
      } finally {
        reader.close();
      }
      // The store could not keep them: going on would fetch the same again.
      if (!variant.storing || reader.received === 0) return;
    }
  } finally {
    track.close();
  }
}
