import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { CHUNK_SIZE } from "../data-source/data-source.ts";
import { AfterbayError } from "../errors.ts";

/** A file that can be taken into the cache. */
export interface ImportableFile {
  /** Bytes. */
  readonly size: number;
  readonly contentType: string;
  /** Its bytes, a chunk at a time. Throws `bad-request` if it changes meanwhile. */
  chunks(): AsyncGenerator<Uint8Array>;
  close(): Promise<void>;
}

/** What audio files begin with, and what that makes them. */
const MAGIC: readonly (readonly [(head: Buffer) => boolean, string])[] = [
  [(head) => head.toString("latin1", 0, 4) === "fLaC", "audio/flac"],
  [(head) => head.toString("latin1", 0, 4) === "OggS", "audio/ogg"],
  [(head) => head.toString("latin1", 0, 4) === "RIFF" && head.toString("latin1", 8, 12) === "WAVE", "audio/wav"],
  [(head) => head.toString("latin1", 0, 4) === "FORM" && head.toString("latin1", 8, 11) === "AIF", "audio/aiff"],
  [(head) => head.toString("latin1", 4, 8) === "ftyp", "audio/mp4"],
  [(head) => head.readUInt32BE(0) === 0x1a45dfa3, "audio/webm"],
  [(head) => head.toString("latin1", 0, 3) === "ID3", "audio/mpeg"],
  // Before MPEG frames, which share its first bits.
  [(head) => head[0] === 0xff && ((head[1] ?? 0) & 0xf6) === 0xf0, "audio/aac"],
  [(head) => head[0] === 0xff && ((head[1] ?? 0) & 0xe0) === 0xe0, "audio/mpeg"],
];

/** Opens a file for import. Throws `bad-request` in plain words for what is no regular file or no audio. */
export async function openImportable(path: string): Promise<ImportableFile> {
  // A FIFO without a writer would be waited for.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)).catch((cause: unknown) => {
    const code = (cause as NodeJS.ErrnoException).code ?? "unknown error";
    throw new AfterbayError("bad-request", `The file cannot be opened (${code})`, { cause });
  });
  try {
    return await importable(handle);
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function importable(handle: FileHandle): Promise<ImportableFile> {
  const before = await handle.stat();
  if (!before.isFile()) throw new AfterbayError("bad-request", "This is not a regular file");
  const head = Buffer.alloc(16);
  await handle.read(head, 0, head.length, 0);
  const contentType = MAGIC.find(([matches]) => matches(head))?.[1];
  if (contentType === undefined) throw new AfterbayError("bad-request", "This is no audio file that is known here");
  const { size } = before;
  return {
    size,
    contentType,
    async *chunks() {
      for (let position = 0; position < size; ) {
        const chunk = Buffer.allocUnsafeSlow(Math.min(CHUNK_SIZE, size - position));
        for (let done = 0; done < chunk.length; ) {
          const { bytesRead } = await handle.read(chunk, done, chunk.length - done, position + done);
          if (bytesRead === 0) throw changed();
          done += bytesRead;
        }
        position += chunk.length;
        yield chunk;
      }
      const after = await handle.stat();
      if (after.size !== size || after.mtimeMs !== before.mtimeMs) throw changed();
    },
    close: () => handle.close(),
  };
}

function changed(): AfterbayError {
  return new AfterbayError("bad-request", "The file changed while it was read");
}
