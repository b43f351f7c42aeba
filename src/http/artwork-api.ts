import type { TrackKey } from "../data-source/data-source.ts";
import type { Artwork } from "../data-source/resolution.ts";

/** What the routes need of whoever has the covers. */
export interface ArtworkApi {
  /** Throws `not-found`, `not-cached` (`offline`), `upstream-failed`, or the signal's reason. */
  find(key: TrackKey, options: { readonly offline: boolean; readonly signal: AbortSignal }): Promise<Artwork>;
}
