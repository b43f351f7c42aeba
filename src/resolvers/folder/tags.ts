import { type IAudioMetadata, type IOptions, parseBlob } from "music-metadata";
import { MiB } from "../../data-source/data-source.ts";
import { BudgetedReader, FileBlob } from "./file-blob.ts";
import type { Names } from "./names.ts";
import { MAX_PAGE_SIZE, oggDurationMs } from "./ogg-duration.ts";
import type { OpenedFile } from "./open-inside.ts";
import { plainText } from "./raw-path.ts";

/** What a file says of itself. */
export interface Tags extends Names {
  readonly durationMs?: number;
}

/** An embedded picture is passed over by reading it, in some formats. */
const BUDGET = 16 * MiB;

/** No reading of a whole file to learn its duration. The index keeps Matroska's clusters from being walked. */
const OPTIONS: IOptions = { duration: false, skipCovers: true, mkvUseIndex: true };

/** Reads the tags; what cannot be understood has none. Throws only the signal's reason. */
export async function readTags(file: OpenedFile, contentType: string, signal: AbortSignal): Promise<Tags> {
  const reader = new BudgetedReader(file.handle, BUDGET, signal);
  try {
    const { common, format } = await parse(reader, file, contentType, OPTIONS);
    const seconds = format.duration ?? 0;
    const durationMs =
      contentType === "audio/ogg"
        ? await oggDuration(reader, Number(file.stats.size), format.sampleRate)
        : Math.round(seconds * 1000);
    return {
      ...words("title", common.title),
      ...words("artist", common.artist),
      ...words("album", common.album),
      ...(durationMs !== undefined && durationMs > 0 && Number.isFinite(durationMs) ? { durationMs } : {}),
    };
  } catch {
    signal.throwIfAborted();
    return {};
  }
}

/** The picture that shows the front, else the first; undefined without one. Throws what the parser or reading does. */
export async function readPicture(
  file: OpenedFile,
  contentType: string,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const reader = new BudgetedReader(file.handle, BUDGET, signal);
  const { common } = await parse(reader, file, contentType, { ...OPTIONS, skipCovers: false });
  const pictures = common.picture ?? [];
  return (pictures.find(({ type }) => type === "Cover (front)") ?? pictures[0])?.data;
}

async function parse(
  reader: BudgetedReader,
  file: OpenedFile,
  contentType: string,
  options: IOptions,
): Promise<IAudioMetadata> {
  // A copy: the parser notes what it found in its options.
  return await parseBlob(new FileBlob(reader, { start: 0, end: Number(file.stats.size) }, contentType), { ...options });
}

async function oggDuration(
  reader: BudgetedReader,
  size: number,
  sampleRate: number | undefined,
): Promise<number | undefined> {
  const head = await reader.read(0, Math.min(size, 512));
  const tail = await reader.read(Math.max(0, size - MAX_PAGE_SIZE), size);
  return oggDurationMs(Buffer.from(head.buffer, head.byteOffset, head.length), Buffer.from(tail), sampleRate);
}

function words<Name extends string>(name: Name, value: string | undefined): { readonly [K in Name]?: string } {
  const text = plainText(value ?? "");
  return text === "" ? {} : ({ [name]: text } as { readonly [K in Name]?: string });
}
