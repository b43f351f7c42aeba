import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { createFolder } from "../../../src/resolvers/folder/folder.ts";
import { bytesOf, makeFifo, makeLibrary, named, type TestLibrary, titlesOf, wav } from "./library.ts";

let library: TestLibrary;
beforeEach(async () => {
  library = await makeLibrary();
  return () => library.close();
});

const list = async () => await (await library.open()).list();

describe("the folder itself", () => {
  it("may be empty", async () => {
    expect(await list()).toEqual([]);
  });

  it.each([
    ["missing", "nowhere", /^The folder \S+nowhere does not exist$/],
    ["a file", "file.mp3", /^\S+file\.mp3 is not a folder$/],
    ["below a file", "file.mp3/below", /^\S+below is not a folder$/],
  ])("%s is an error of one line", async (_, name, message) => {
    await library.add("file.mp3");
    await expect(createFolder(join(library.path, name))).rejects.toThrow(message);
  });

  it("may be a link, and the ids do not depend on where it lies", async () => {
    await library.add("a/song.mp3");
    const link = join(library.outside, "link");
    await symlink(library.path, link);
    const linked = await createFolder(link);
    expect(await linked.list()).toEqual(await list());
    await linked.close();
  });
});

describe("what is listed", () => {
  it("has the type that its extension says, in any case; other files are left out", async () => {
    for (const name of ["1.mp3", "2.FLAC", "3.Opus", "4.m4b", "5.weba", "6.txt", "7", "8.mp3.part", "9.m3u8"]) {
      await library.add(name);
    }
    expect((await list()).map(({ title, contentType }) => [title, contentType])).toEqual([
      ["1", "audio/mpeg"],
      ["2", "audio/flac"],
      ["3", "audio/ogg"],
      ["4", "audio/mp4"],
      ["5", "audio/webm"],
    ]);
  });

  it("is named by its path, where it has no tags, and keeps its id over restarts", async () => {
    await library.add("Artist/Album/01 Song.mp3", new Uint8Array(7));
    const [track] = await list();
    expect(track).toMatchObject({ title: "01 Song", artist: "Artist", album: "Album", size: 7 });
    expect(track?.id).toMatch(/^[0-9a-f]{32}$/);
    expect(await list()).toEqual([track]);
  });

  it("is none of what is hidden or other programs' own", async () => {
    const hidden = [".hidden.mp3", "._1.mp3", ".git/2.mp3", "@eaDir/3.mp3", "$RECYCLE.BIN/4.mp3"];
    for (const name of [...hidden, "...And Justice for All/5.mp3"]) await library.add(name);
    expect(titlesOf(await list())).toEqual(["5"]);
  });

  it("is no FIFO, socket, device or folder", async () => {
    await library.add("song.mp3");
    makeFifo(join(library.path, "fifo.mp3"));
    await mkdir(join(library.path, "folder.mp3"));
    await symlink("/dev/zero", join(library.path, "zero.mp3"));
    expect(titlesOf(await list())).toEqual(["song"]);
  });
});

describe("links", () => {
  it("to outside are left out, also over another link, and to a folder with a longer name of the same beginning", async () => {
    await writeFile(join(library.outside, "secret.mp3"), wav());
    await symlink(join(library.outside, "secret.mp3"), join(library.path, "file.mp3"));
    await symlink(library.outside, join(library.path, "folder"));
    await symlink("folder/secret.mp3", join(library.path, "over.mp3"));
    const sibling = `${library.path}-2`;
    await mkdir(sibling);
    await writeFile(join(sibling, "sibling.mp3"), wav());
    await symlink(sibling, join(library.path, "sibling"));
    expect(await list()).toEqual([]);
  });

  it("in circles come to an end", async () => {
    await library.add("a/song.mp3");
    await symlink("..", join(library.path, "a/up"));
    await symlink(".", join(library.path, "a/here"));
    await symlink(dirname(library.path), join(library.path, "above"));
    await symlink("round.mp3", join(library.path, "round.mp3"));
    expect(titlesOf(await list())).toEqual(["song"]);
    expect(library.warnings).toEqual([]);
  });

  it("to inside are listed once, by the file's own path where it has one", async () => {
    await library.add("z/song.mp3");
    await symlink("z/song.mp3", join(library.path, "best.mp3"));
    await symlink("z", join(library.path, "favourites"));
    const tracks = await list();
    expect(tracks).toMatchObject([{ title: "song", album: "z" }]);
  });

  it("give a name to what has none of its own, as in git-annex", async () => {
    await library.add(".git/annex/objects/SHA256E-s7", Buffer.from("content"));
    await symlink(".git/annex/objects/SHA256E-s7", join(library.path, "b.mp3"));
    await symlink(".git/annex/objects/SHA256E-s7", join(library.path, "a.mp3"));
    const folder = await library.open();
    const [track, ...others] = await folder.list();
    expect(others).toEqual([]);
    expect(track).toMatchObject({ title: "a", size: 7 });
    expect(String(await bytesOf(folder, track?.id ?? ""))).toBe("content");
  });
});

describe("odd names", () => {
  it("are each a track of its own, with its own bytes", async () => {
    const names = [
      "%2e%2e",
      "..%2f",
      "new\nline",
      "AbC",
      "aBc",
      "ähm",
      "a\u0308hm",
      "日本",
      "🎵",
      "c:\\d",
      "?q#f",
      "-rf",
      "x ".repeat(60),
    ];
    for (const name of names) await library.add(`${name}.mp3`, Buffer.from(name));
    const folder = await library.open();
    const tracks = await folder.list();
    expect(new Set(tracks.map(({ id }) => id)).size).toBe(names.length);
    expect(new Set(titlesOf(tracks))).toEqual(new Set(names.map((name) => name.replace("\n", " ").trim())));
    const contents = await Promise.all(tracks.map(async ({ id }) => String(await bytesOf(folder, id))));
    expect(new Set(contents)).toEqual(new Set(names));
  });

  it.skipIf(process.platform !== "linux")("that are no UTF-8 are told apart", async () => {
    const at = (byte: number) =>
      Buffer.concat([Buffer.from(`${library.path}/`), Buffer.from([byte]), Buffer.from(".mp3")]);
    await writeFile(at(0xe4), "latin1 ä");
    await writeFile(at(0xf6), "latin1 ö");
    const folder = await library.open();
    const tracks = await folder.list();
    expect(titlesOf(tracks)).toEqual(["\ufffd", "\ufffd"]);
    const contents = await Promise.all(tracks.map(async ({ id }) => String(await bytesOf(folder, id))));
    expect(contents).toEqual(["latin1 ä", "latin1 ö"]);
  });
});

it("skips folders that cannot be read, and warns once", async () => {
  await library.add("song.mp3");
  for (const name of ["locked", "locked too"]) {
    await library.add(`${name}/song.mp3`);
    await chmod(join(library.path, name), 0);
  }
  // The superuser reads everything.
  await chmod(dirname(library.path), 0o755);
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    const folder = await library.open();
    const tracks = await folder.list();
    expect(titlesOf(tracks)).toEqual(["song"]);
    expect(named(tracks, "song").album).toBeUndefined();
    expect(library.warnings).toMatchObject([{ fields: { code: "EACCES", count: 2 } }]);
    await folder.close();
  } finally {
    if (isRoot) process.seteuid?.(0);
    for (const name of ["locked", "locked too"]) await chmod(join(library.path, name), 0o755);
  }
});
