import { trackKey } from "../../http/track-path.ts";
import type { Playback } from "../../player/playback.ts";
import type { QueueEntry } from "../../player/queue.ts";
import type { Complaints } from "../complaints.ts";
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
  readonly complaints: Complaints;
  readonly defaultSource: string;
  /** Settles when the program is to stop. */
  readonly stop: Promise<void>;
}

/**
 * Plays to the end of the queue and tells of it in lines: one for each track, and on stderr one for each that cannot be
 * played. Rejects with a Failure if it gave up.
 */
export async function playInLines({
  io,
  playback,
  book,
  complaints,
  defaultSource,
  stop,
}: LinesOptions): Promise<void> {
  const nameOf = ({ source, id }: QueueEntry): string => written(trackKey(source, id), defaultSource);
  let told: Promise<void> = Promise.resolve();
  const tell = (entry: QueueEntry): void => {
    told = told.then(async () => {
      await book.learn(entry);
      const { title = "", artist = "", durationMs } = book.peek(entry);
      const name = [artist, title].filter((part) => part !== "").join(" – ");
      const parts = [nameOf(entry), name, durationMs === undefined ? "" : formatLength(durationMs)];
      io.stdout.write(`playing ${plain(parts.filter((part) => part !== "").join(", "))}\n`);
    });
  };
  let last: QueueEntry | undefined;
  /** The last one was told of, or has failed. */
  let isTold = true;
  let waitedFor: string | undefined;
  let unlisten = (): void => {};
  const over = new Promise<void>((resolve, reject) => {
    const look = (): void => {
      const { status, queue, index, positionMs, waiting, error } = playback.state;
      const current = queue[index];
      const hasLeft = current !== last || status === "ended";
      // Some are over before there is a position of them.
      if (!isTold && last !== undefined && (hasLeft || positionMs > 0)) {
        tell(last);
        isTold = true;
      }
      if (current !== last && current !== undefined) isTold = false;
      last = current;
      if (waiting?.code !== waitedFor) {
        waitedFor = waiting?.code;
        if (waiting !== undefined) io.stderr.write(`afterbay: ${waiting.message}; trying again (${waiting.code})\n`);
      }
      if (status === "ended") resolve();
      else if (status === "stopped" && error !== undefined) reject(new Failure(`${error.message} (${error.code})`));
    };
    unlisten = playback.listen((event) => {
      if (event.type === "state") {
        look();
        return;
      }
      if (event.entry === last) isTold = true;
      complaints.add(nameOf(event.entry), event.code, event.message);
    });
    look();
  });
  try {
    await Promise.race([over, stop]);
  } finally {
    unlisten();
    await told;
  }
}
