import { readFile, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { oggDurationMs } from "../../../src/resolvers/folder/ogg-duration.ts";
import type { FolderSource } from "../../../src/resolvers/folder/folder.ts";
import { describeWith, succeed } from "../../players/programs.ts";
import { makeLibrary, named, type TestLibrary, wav } from "./library.ts";

let library: TestLibrary;
beforeEach(async () => {
  library = await makeLibrary();
  return () => library.close();
});

const listed = async (folder: FolderSource) => (await folder.list())[0];
const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452", "hex");
const JPEG = Buffer.from("ffd8ffe000104a46494600", "hex");

describe("tags", () => {
  it("fill in later listings", async () => {
    await library.add(
      "Some/Folder/file.wav",
      wav({ samples: Buffer.alloc(1500, 0x80), title: "Song", artist: "Singer", album: "Record" }),
    );
    const folder = await library.open();
    expect(await listed(folder)).toMatchObject({ title: "file", artist: "Some", album: "Folder" });
    await expect
      .poll(() => listed(folder))
      .toMatchObject({ title: "Song", artist: "Singer", album: "Record", durationMs: 1500 });
  });

  it("are read again when the file has changed", async () => {
    const path = await library.add("file.wav", wav({ title: "Before" }));
    const folder = await library.open();
    await expect.poll(() => listed(folder)).toMatchObject({ title: "Before" });
    await writeFile(path, wav({ title: "Afterwards" }));
    await expect.poll(() => listed(folder), { timeout: 5000 }).toMatchObject({ title: "Afterwards" });
  });

  it("that name something are not mixed with the names of folders", async () => {
    await library.add("Some/Folder/file.wav", wav({ artist: "Singer" }));
    const folder = await library.open();
    await expect.poll(() => listed(folder)).toMatchObject({ title: "file", artist: "Singer" });
    expect(await listed(folder)).not.toHaveProperty("album");
  });

  it("are one line of bounded length, and none where a file makes no sense", async () => {
    await library.add("long.wav", wav({ title: `a\r\nb${"c".repeat(5000)}` }));
    await library.add("noise.mp3", Buffer.alloc(50_000, 7));
    await library.add("empty.flac", new Uint8Array());
    await library.add(
      "lies.wav",
      Buffer.concat([Buffer.from("RIFF\xff\xff\xff\x7fWAVELIST\xff\xff\xff\x7fINFO", "latin1")]),
    );
    const folder = await library.open();
    await expect.poll(async () => (await folder.list()).map(({ title }) => title?.length)).toContain(1000);
    const tracks = await folder.list();
    expect(tracks.find(({ title }) => title?.startsWith("a b"))).toBeDefined();
    for (const title of ["noise", "empty", "lies"]) expect(named(tracks, title).artist).toBeUndefined();
  });
});

describe("artwork beside a file", () => {
  it("is a cover, folder or front, in this order and in any case; what it is, its bytes say", async () => {
    await library.add("song.mp3");
    const folder = await library.open();
    const { id } = named(await folder.list(), "song");
    expect(await folder.artwork(id)).toBeUndefined();
    await library.add("Front.png", JPEG);
    expect(await folder.artwork(id)).toEqual({ contentType: "image/jpeg", bytes: new Uint8Array(JPEG) });
    await library.add("FOLDER.JPG", PNG);
    expect(await folder.artwork(id)).toMatchObject({ contentType: "image/png" });
    await library.add("cover.jpg", Buffer.from("<svg onload='alert(1)'>"));
    expect(await folder.artwork(id)).toMatchObject({ contentType: "image/png" });
  });

  it("is no larger than 10 MiB, and does not come from outside", async () => {
    await library.add("song.mp3");
    const large = Buffer.alloc(10 * 1024 * 1024 + 1);
    JPEG.copy(large);
    await library.add("cover.jpg", large);
    const folder = await library.open();
    const { id } = named(await folder.list(), "song");
    expect(await folder.artwork(id)).toBeUndefined();
    await library.add("cover.jpg", large.subarray(0, -1));
    expect((await folder.artwork(id))?.bytes.length).toBe(10 * 1024 * 1024);
    await rename(join(library.path, "cover.jpg"), join(library.outside, "cover.jpg"));
    await symlink(join(library.outside, "cover.jpg"), join(library.path, "cover.jpg"));
    expect(await folder.artwork(id)).toBeUndefined();
  });
});

describeWith(["ffmpeg"], "files that ffmpeg made", () => {
  const SINE = ["-f", "lavfi", "-i", "sine=440:sample_rate=44100:duration=3"];
  const META = ["-metadata", "title=Tïtle", "-metadata", "artist=Ärtist", "-metadata", "album=Album"];
  const make = (...args: string[]) => succeed("ffmpeg", ["-v", "error", ...args]);

  it("tell title, artist, album and duration", async () => {
    const names = ["mp3", "flac", "opus", "ogg", "m4a", "wma"].map((extension) => `song.${extension}`);
    await make(...SINE, ...names.flatMap((name) => [...META, join(library.path, name)]));
    const folder = await library.open();
    const done = async () => (await folder.list()).filter(({ title }) => title === "Tïtle").length;
    await expect.poll(done, { timeout: 10_000 }).toBe(names.length);
    for (const track of await folder.list()) {
      expect(track).toMatchObject({ artist: "Ärtist", album: "Album" });
      expect(Math.abs((track.durationMs ?? 0) - 3000), track.contentType).toBeLessThan(120);
    }
  });

  it("carry covers", async () => {
    const cover = join(library.outside, "cover.png");
    await make("-f", "lavfi", "-i", "color=red:size=64x64:duration=1", "-frames:v", "1", cover);
    const attach = [...SINE, "-i", cover, "-map", "0", "-map", "1", "-c:v", "copy", "-disposition:v", "attached_pic"];
    for (const extension of ["mp3", "flac", "m4a"])
      await make(...attach, join(library.path, `${extension}.${extension}`));
    await library.add("cover.jpg", JPEG);
    const folder = await library.open();
    for (const { id, title } of await folder.list()) {
      const artwork = await folder.artwork(id);
      expect(artwork?.contentType, title).toBe("image/png");
      expect(Buffer.compare(artwork?.bytes ?? Buffer.alloc(0), await readFile(cover)), title).toBe(0);
    }
  });
});

describe("the duration of an Ogg stream", () => {
  const page = (granule: bigint, body: Buffer, serial = 7): Buffer => {
    const head = Buffer.alloc(28);
    head.write("OggS", "latin1");
    head.writeBigInt64LE(granule, 6);
    head.writeUInt32LE(serial, 14);
    head.writeUInt8(1, 26);
    head.writeUInt8(body.length, 27);
    return Buffer.concat([head, body]);
  };
  const opus = Buffer.concat([Buffer.from("OpusHead\x01\x02", "latin1"), Buffer.from([0x38, 0x01]), Buffer.alloc(7)]);
  const begin = page(0n, opus);

  it("counts at 48 kHz for Opus, without what is skipped", () => {
    expect(oggDurationMs(begin, page(48_312n, Buffer.alloc(5)), 16_000)).toBe(1000);
  });

  it("counts at the sample rate for others", () => {
    expect(oggDurationMs(page(0n, Buffer.from("\x01vorbis")), page(44_100n, Buffer.alloc(5)), 44_100)).toBe(1000);
    expect(
      oggDurationMs(page(0n, Buffer.from("\x01vorbis")), page(44_100n, Buffer.alloc(5)), undefined),
    ).toBeUndefined();
  });

  it("is that of the last page of the first stream on which a packet ends", () => {
    const tail = [page(48_312n, Buffer.from("x")), page(-1n, Buffer.from("y")), page(99_999n, Buffer.from("z"), 8)];
    expect(oggDurationMs(begin, Buffer.concat([...tail, Buffer.from("OggS")]), 48_000)).toBe(1000);
  });

  it("is unknown of what is no Ogg, or cut off", () => {
    expect(oggDurationMs(Buffer.alloc(100), begin, 48_000)).toBeUndefined();
    expect(oggDurationMs(begin, Buffer.alloc(100), 48_000)).toBeUndefined();
    expect(oggDurationMs(begin.subarray(0, 20), begin, 48_000)).toBeUndefined();
  });
});
