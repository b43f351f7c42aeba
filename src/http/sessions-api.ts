import { describePlayback, type SessionReport } from "../sessions/describe.ts";
import type { FlightRecorder } from "../sessions/flight-recorder.ts";
import type { Finder } from "./finder.ts";
import { trackKey } from "./track-path.ts";

/**
 * The playbacks that `GET /api/sessions` shows, newest first: all, those of a track (`?key=source/id`), or those that
 * their player calls by a name (`?play=`). Throws `bad-request` for a key that is none.
 */
export function listSessions(
  recorder: FlightRecorder,
  query: URLSearchParams,
  finder: Finder,
): readonly SessionReport[] {
  const asked = query.get("key");
  const { source, id } = asked === null ? {} : finder.keyOf(asked);
  const play = query.get("play");
  return recorder.playbacks
    .filter(({ track }) => id === undefined || (track.source === source && track.id === id))
    .filter((playback) => play === null || playback.play === play)
    .map((playback) => describePlayback(playback, trackKey(playback.track.source, playback.track.id)));
}
