import { abortReason, AfterbayError } from "../../errors.ts";
import type { CatalogueTrack, Resolver } from "../../data-source/resolution.ts";
import { Origin, pathOf } from "./origin.ts";
import { PIECES, pieceById, variantOf } from "./pieces/catalogue.ts";
import { createBlocks } from "./rendering.ts";
import { Signer } from "./signing.ts";
import type { Piece } from "./synth/piece.ts";
import { WAV_TYPE, wavSize } from "./wav.ts";

const HOUR_MS = 3_600_000;

export interface DemoOptions {
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** How long a resolved URL works. Default six hours. */
  readonly urlLifetimeMs?: number;
}

/**
 * The embedded `demo` source: a few pieces of music that are synthesised while they play, served by an HTTP origin on a
 * loopback port behind signed URLs that expire, as a real upstream's do. Throws `not-found` for an unknown id.
 */
export async function createDemo({ now = Date.now, urlLifetimeMs = 6 * HOUR_MS }: DemoOptions = {}): Promise<Resolver> {
  const signer = new Signer(now);
  const blocks = createBlocks();
  const origin = await Origin.listen(blocks, signer);
  blocks.warm();
  let closing: Promise<void> | undefined;
  return {
    hosts: [origin.host],
    async resolve(id, { signal }) {
      if (signal.aborted) throw abortReason(signal);
      const piece = pieceById(id);
      if (!piece) throw new AfterbayError("not-found", "The demo catalogue has no such track");
      const expiresAt = now() + urlLifetimeMs;
      return {
        id,
        url: `http://${origin.host}${signer.sign(pathOf(piece), expiresAt)}`,
        variant: variantOf(piece),
        contentLength: wavSize(piece),
        contentType: WAV_TYPE,
        expiresAt,
        ...labels(piece),
      };
    },
    list: async () => PIECES.map(track),
    close() {
      closing ??= origin.close();
      return closing;
    },
  };
}

function track(piece: Piece): CatalogueTrack {
  return { id: piece.id, size: wavSize(piece), contentType: WAV_TYPE, ...labels(piece) };
}

function labels({
  title,
  artist,
  album,
  seconds,
}: Piece): Pick<CatalogueTrack, "title" | "artist" | "album" | "durationMs"> {
  return { title, artist, album, durationMs: Math.round(seconds * 1000) };
}
