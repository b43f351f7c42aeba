import { execFileSync } from "node:child_process";
import { mkdir, realpath, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { createFolder, type FolderOptions, type FolderSource } from "../../../src/resolvers/folder/folder.ts";
import type { CatalogueTrack } from "../../../src/data-source/resolution.ts";
import { never } from "../../data-source/fakes.ts";
import { eventually, tmpDir } from "../../helpers/process.ts";

/** A folder in a folder, so that there is an outside, and the source over it once `open` is called. */
export interface TestLibrary {
  /** The served folder. */
  readonly path: string;
  readonly outside: string;
  readonly warnings: { readonly fields: object; readonly message: string }[];
  /** Writes a file into the served folder. */
  add(name: string, bytes?: Uint8Array): Promise<string>;
  open(options?: FolderOptions): Promise<FolderSource>;
  close(): Promise<void>;
}

export async function makeLibrary(): Promise<TestLibrary> {
  const dir = await tmpDir();
  // Resolved: temporary folders lie behind a link on macOS.
  const base = await realpath(dir.path);
  const path = join(base, "music");
  const outside = join(base, "outside");
  await mkdir(path);
  await mkdir(outside);
  const sources: FolderSource[] = [];
  const warnings: TestLibrary["warnings"] = [];
  return {
    path,
    outside,
    warnings,
    async add(name, bytes = wav()) {
      const file = join(path, name);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, bytes);
      return file;
    },
    async open(options) {
      const log = { warn: (fields: object, message: string) => void warnings.push({ fields, message }) };
      const source = await createFolder(path, { log, ...options });
      sources.push(source);
      return source;
    },
    async close() {
      await Promise.all(sources.map((source) => source.close()));
      await dir.remove();
    },
  };
}

export interface Wave {
  /** 8 bits at 1 kHz: a byte is a millisecond. Default 100 of them. */
  readonly samples?: Uint8Array;
  readonly title?: string;
  readonly artist?: string;
  readonly album?: string;
}

/** A PCM file, with tags in a LIST chunk of type INFO. */
export function wav({ samples = Buffer.alloc(100, 0x80), ...tags }: Wave = {}): Buffer {
  const info = Object.entries({ INAM: tags.title, IART: tags.artist, IPRD: tags.album }).flatMap(([id, value]) =>
    value === undefined ? [] : [chunk(id, Buffer.from(`${value}\0`))],
  );
  const format = Buffer.alloc(16);
  format.writeUInt16LE(1, 0);
  format.writeUInt16LE(1, 2);
  format.writeUInt32LE(1000, 4);
  format.writeUInt32LE(1000, 8);
  format.writeUInt16LE(1, 12);
  format.writeUInt16LE(8, 14);
  const list = info.length === 0 ? [] : [chunk("LIST", Buffer.concat([Buffer.from("INFO"), ...info]))];
  const body = [Buffer.from("WAVE"), chunk("fmt ", format), ...list, chunk("data", samples)];
  return chunk("RIFF", Buffer.concat(body));
}

function chunk(id: string, data: Uint8Array): Buffer {
  const head = Buffer.alloc(8);
  head.write(id, "latin1");
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data, Buffer.alloc(data.length % 2)]);
}

export function titlesOf(tracks: readonly CatalogueTrack[]): (string | undefined)[] {
  return tracks.map(({ title }) => title);
}

/** Node itself cannot make one. */
export function makeFifo(path: string): void {
  const program = "mkfifo";
  execFileSync(program, [path]);
}

/** The track of this title; fails without it. */
export function named(tracks: readonly CatalogueTrack[], title: string): CatalogueTrack {
  const found = tracks.find((track) => track.title === title);
  if (found === undefined) throw new Error(`No track ${title} among ${titlesOf(tracks).join(", ")}`);
  return found;
}

export async function bytesOf({ local }: FolderSource, id: string): Promise<Buffer> {
  const file = await local.open(id, { signal: never });
  const pieces: Uint8Array[] = [];
  for await (const piece of file.read(0, file.size)) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Waits until the tags of all files are read, so that no file is open for that any more. */
export async function tagsRead(folder: FolderSource): Promise<readonly CatalogueTrack[]> {
  return await eventually(async () => {
    const tracks = await folder.list();
    if (tracks.some(({ durationMs }) => durationMs === undefined)) throw new Error("Not all tags are read");
    return tracks;
  });
}
