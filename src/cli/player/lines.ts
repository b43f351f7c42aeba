import { trackKey } from "../../http/track-path.ts";
import type { Playback } from "../../player/playback.ts";
import type { QueueEntry } from "../../player/queue.ts";
import { Complaints } from "../complaints.ts";
import type { Io } from "../io.ts";
import { Failure } from "../problems.ts";
import { formatLength } from "../terminal/format.ts";
import { plain } from "../terminal/width.ts";
import { written } from "../track-id.ts";
import type { TrackBook } from "./track-book.ts";

export interface LinesOptions {
  readonly io: Io;
  readonly playback: Playback;
  readonly book: TrackBook;
  readonly defaultSource: string;
  /** Settles when the program is to stop. */
  readonly stop: Promise<void>;
}

/**
 * Plays to the end of the queue and tells of it in lines: one for each track, and on stderr one for each that cannot be
 * played. Rejects with a Failure if it gave up, or if anything was skipped.
 */
export async function playInLines({ io, playback, book, defaultSource, stop }: LinesOptions): Promise<void> {
  const complaints = new Complaints(io);
  const nameOf = ({ source, id }: QueueEntry): string => written(trackKey(source, id), defaultSource);
  let playing: QueueEntry | undefined;
  let waitedFor: string | undefined;
  let unlisten = (): void => {};
  const over = new Promise<void>((resolve, reject) => {
    const look = (): void => {
      const { status, queue, index, waiting, error } = playback.state;
      const current = queue[index];
      if (status === "playing" && current !== playing && current !== undefined) {
        playing = current;
        void book.learn(current).then(() => {
          const { title = "", artist = "", durationMs } = book.peek(current);
          const name = [artist, title].filter((part) => part !== "").join(" – ");
          const parts = [nameOf(current), name, durationMs === undefined ? "" : formatLength(durationMs)];
          io.stdout.write(`playing ${plain(parts.filter((part) => part !== "").join(", "))}\n`);
        });
      }
      if (waiting?.code !== waitedFor) {
        waitedFor = waiting?.code;
        if (waiting !== undefined) io.stderr.write(`afterbay: ${waiting.message}; trying again (${waiting.code})\n`);
      }
      if (status === "ended") resolve();
      else if (status === "stopped" && error !== undefined) reject(new Failure(`${error.message} (${error.code})`));
    };
    unlisten = playback.listen((event) => {
      if (event.type === "failed") complaints.add(nameOf(event.entry), event.code, event.message);
      else look();
    });
    look();
  });
  try {
    await Promise.race([over, stop]);
  } finally {
    unlisten();
  }
  complaints.end();
}
