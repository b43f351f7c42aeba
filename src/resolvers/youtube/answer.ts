import { AfterbayError, isAfterbayError } from "../../errors.ts";
import { audioFormats, type AudioFormat } from "./formats.ts";
import type { Innertube, VideoInfo } from "./library.ts";
import { type Metadata, metadataOf } from "./metadata.ts";
import { LACKS, LIVE, OTHER_VIDEO, type Refusal, refusalOf } from "./playability.ts";

/** What one client was told of a track, where it may play it. */
export interface Answer {
  /** At least one. */
  readonly formats: readonly AudioFormat[];
  readonly metadata: Metadata;
  /** Of the player script that the client named when it asked. */
  readonly generation: number | undefined;
}

/** Thrown where a client may not play a track. */
export class Refused extends Error {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    super(refusal.error.message);
    this.refusal = refusal;
  }
}

/**
 * Asks as one client. Throws {@link Refused}, or the AfterbayError of a request that failed. One request, to
 * `/youtubei/v1/player`.
 */
export async function askFor(
  innertube: Innertube,
  videoId: string,
  client: string,
): Promise<Omit<Answer, "generation">> {
  const info = await getInfo(innertube, videoId, client);
  const { basic_info: about } = info;
  if (info.playability_status === undefined) throw unreadable();
  const { status } = info.playability_status;
  const refusal = refusalOf({ status, words: wordsOf(info.playability_status) });
  if (refusal !== undefined) throw new Refused(refusal);
  if (about.id !== undefined && about.id !== videoId) throw new Refused(OTHER_VIDEO);
  if (about.is_live === true || about.is_upcoming === true) throw new Refused(LIVE);
  const formats = audioFormats(info);
  if (typeof formats === "string") throw new Refused(LACKS[formats]);
  return { formats, metadata: metadataOf(info) };
}

async function getInfo(innertube: Innertube, videoId: string, client: string): Promise<VideoInfo> {
  try {
    return await innertube.getBasicInfo(videoId, { client: client as "WEB" });
  } catch (error) {
    if (isAfterbayError(error)) throw error;
    // The status ERROR is thrown by the library, with the verdict beside it.
    const refusal = verdictIn(error);
    if (refusal !== undefined) throw new Refused(refusal);
    throw unreadable();
  }
}

/** Without a cause: that may quote an answer, signed URLs and all. */
function unreadable(): AfterbayError {
  return new AfterbayError("upstream-failed", "YouTube's answer cannot be understood: update youtubei.js");
}

function verdictIn(error: unknown): Refusal | undefined {
  const info: unknown = error instanceof Error && "info" in error ? error.info : undefined;
  if (typeof info !== "object" || info === null || !("status" in info) || typeof info.status !== "string") {
    return undefined;
  }
  return refusalOf({ status: info.status, words: wordsOf(info) });
}

/** The reason, and the second sentence that stands on the error's screen. */
function wordsOf(status: unknown): string {
  const { reason, error_screen: screen } = (status ?? {}) as { reason?: unknown; error_screen?: unknown };
  const { subreason } = (screen ?? {}) as { subreason?: { toString(): string } };
  const second = subreason === undefined ? "" : String(subreason);
  return [typeof reason === "string" ? reason : "", second].filter((text) => text !== "" && text !== "N/A").join(". ");
}
