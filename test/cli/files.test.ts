import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { extensionOf, sniff } from "../../src/cli/cache/audio-types.ts";
import { fileName } from "../../src/cli/cache/file-name.ts";
import { placeFile } from "../../src/cli/cache/place-file.ts";
import { cacheWorld, MB } from "./cache-world.ts";
import { problem } from "./fake-owner.ts";

const { world, owner, begin, finished } = cacheWorld();
/** Of POSIX; Node.js has no call for it. */
const MAKE_PIPE = "mkfifo";
const inDirectory = (name: string) => join(world.directory, name);
const bytes = Buffer.alloc(MB, "afterbay ");

describe("cache export", () => {
  async function exporting(facts: object = {}) {
    const path = inDirectory("stored.data");
    writeFileSync(path, bytes);
    const track = { key: "demo/yaman", size: MB, cachedBytes: MB, path, title: "T.N.T.", artist: "AC/DC" };
    await owner({ tracks: [{ ...track, contentType: "audio/flac", ...facts }] });
    return path;
  }

  it("makes a plain file named after the song, a hard link where it can", async () => {
    const stored = await exporting();
    const { code, stdout } = await finished(["cache", "export", "yaman"]);
    const file = inDirectory("AC_DC - T.N.T.flac");
    expect({ code, stdout }).toEqual({ code: 0, stdout: `exported yaman to ${file}, 1 MiB (a hard link)\n` });
    expect(statSync(file).ino).toBe(statSync(stored).ino);
    expect(readFileSync(file).equals(bytes)).toBe(true);
  });

  it("--copy makes it independent", async () => {
    const stored = await exporting();
    const { stdout } = await finished(["cache", "export", "yaman", "-o", "song.flac", "--copy", "--json"]);
    const file = inDirectory("song.flac");
    expect(JSON.parse(stdout)).toEqual({ key: "demo/yaman", file, bytes: MB, linked: false });
    expect(statSync(file).ino).not.toBe(statSync(stored).ino);
    expect(readFileSync(file).equals(bytes)).toBe(true);
    expect(readdirSync(world.directory).toSorted()).toEqual(["cache", "song.flac", "stored.data"]);
  });

  it("puts it into a folder that is named", async () => {
    await exporting();
    mkdirSync(inDirectory("music"));
    await finished(["cache", "export", "yaman", "--output", "music"]);
    expect(readdirSync(inDirectory("music"))).toEqual(["AC_DC - T.N.T.flac"]);
  });

  it("knows the type by the bytes where nobody says it", async () => {
    const stored = await exporting({ contentType: "application/octet-stream", title: undefined });
    writeFileSync(stored, Buffer.concat([Buffer.from("fLaC"), bytes.subarray(4)]));
    await finished(["cache", "export", "yaman"]);
    expect(existsSync(inDirectory("yaman.flac"))).toBe(true);
  });

  it.each([[[]], [["--copy"]]])("never overwrites %j", async (flags) => {
    await exporting();
    writeFileSync(inDirectory("song.flac"), "mine");
    expect(await finished(["cache", "export", "yaman", "-o", "song.flac", ...flags])).toMatchObject({
      code: 1,
      stdout: "",
      stderr: `afterbay: ${inDirectory("song.flac")} is there already.\n`,
    });
    expect(readFileSync(inDirectory("song.flac"), "utf8")).toBe("mine");
    // A link to nowhere is a file that is there, too.
    symlinkSync("nowhere", inDirectory("link.flac"));
    expect(await finished(["cache", "export", "yaman", "-o", "link.flac", ...flags])).toMatchObject({ code: 1 });
  });

  it.each([[[]], [["--copy"]]])("leaves nothing where the stored file is not whole %j", async (flags) => {
    const stored = await exporting();
    truncateSync(stored, MB - 1);
    const { code, stderr } = await finished(["cache", "export", "yaman", ...flags]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^afterbay: the stored file has 1048575 bytes in place of 1048576[^\n]*\n$/);
    expect(readdirSync(world.directory).toSorted()).toEqual(["cache", "stored.data"]);
  });

  it("fails in one line where the track is not whole, or the folder is not there", async () => {
    await exporting({ path: undefined });
    expect((await finished(["cache", "export", "yaman"])).stderr).toBe(
      "afterbay: yaman: Not all of this track is cached (not-cached)\n",
    );
    await exporting();
    expect((await finished(["cache", "export", "yaman", "-o", "no/such/file"])).stderr).toBe(
      `afterbay: cannot write ${inDirectory("no/such/file")}: no such file or directory.\n`,
    );
  });

  it("leaves nothing where it is ended in the middle", async () => {
    const stored = await exporting();
    const controller = new AbortController();
    const target = inDirectory("song.flac");
    truncateSync(stored, 256 * MB);
    const placing = placeFile({ source: stored, target, size: 256 * MB, copy: true }, controller.signal);
    while (!readdirSync(world.directory).some((name) => name.endsWith(".part"))) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    controller.abort(new Error("ended"));
    await expect(placing).rejects.toThrow("ended");
    expect(readdirSync(world.directory).toSorted()).toEqual(["cache", "stored.data"]);
  });
});

describe("the name of an exported file", () => {
  it.each([
    [{ title: "Yaman", artist: "Ensemble" }, "Ensemble - Yaman.mp3"],
    [{ title: "Yaman" }, "Yaman.mp3"],
    [{ artist: "Ensemble" }, "the id.mp3"],
    [{ title: "../../etc/passwd" }, "_.._etc_passwd.mp3"],
    [{ title: ".hidden", artist: "..." }, "hidden.mp3"],
    [{ title: "a\nb\0c\u202Egpj" }, "a_b_c_gpj.mp3"],
    [{ title: "  wide   open. . " }, "wide open.mp3"],
    [{ title: "..." }, "the id.mp3"],
  ])("%j", (facts, expected) => {
    expect(fileName({ ...facts, id: "the id", extension: "mp3" }, "linux")).toBe(expected);
  });

  it("suits Windows there", () => {
    expect(fileName({ title: 'What? "No"', id: "x", extension: "mp3" }, "win32")).toBe("What_ _No_.mp3");
    expect(fileName({ title: "CON", id: "x", extension: "mp3" }, "win32")).toBe("_CON.mp3");
  });

  it("is always one name of at most 200 bytes", () => {
    const text = fc.string({ unit: "binary", maxLength: 300 });
    fc.assert(
      fc.property(text, text, text, (title, artist, id) => {
        const name = fileName({ title, artist, id, extension: "flac" });
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(200);
        expect(name).toMatch(/^[^./\\\p{Cc}][^/\\\p{Cc}]*\.flac$/u);
        expect(Buffer.from(name).toString()).toBe(name);
      }),
    );
    expect(fileName({ title: "夜".repeat(100), id: "x", extension: "flac" })).toBe(`${"夜".repeat(65)}.flac`);
  });

  it.each([
    ["audio/mpeg", "mp3"],
    ['audio/webm; codecs="opus"', "webm"],
    ["audio/ogg; codecs=opus", "opus"],
    ["Audio/Ogg", "ogg"],
    ["audio/x-wav", "wav"],
    ["text/html", undefined],
  ])("%s is .%s", (type, extension) => {
    expect(extensionOf(type)).toBe(extension);
  });
});

describe("cache import", () => {
  const flac = Buffer.concat([Buffer.from("fLaC"), Buffer.alloc(100)]);

  async function importing() {
    return await owner({
      async override({ path, body }, response) {
        if (path !== "/control/import") return false;
        const { file, source, id } = body as { file: string; source: string; id: string };
        if (id === "full") problem(response, 507, "no-space", "The cache has no room for this");
        else response.end(JSON.stringify({ key: `${source}/${encodeURIComponent(id)}`, bytes: statSync(file).size }));
        return true;
      },
    });
  }

  it("takes files and folders, and names what it does not take", async () => {
    const fake = await importing();
    mkdirSync(inDirectory("music/disc 2"), { recursive: true });
    for (const name of ["a.flac", "b.FLAC", "disc 2/c d.flac", "full.flac", ".hidden.flac"]) {
      writeFileSync(inDirectory(`music/${name}`), flac);
    }
    writeFileSync(inDirectory("music/cover.jpg"), "jpeg");
    writeFileSync(inDirectory("music/page.mp3"), "<!doctype html>");
    writeFileSync(inDirectory("music/empty.mp3"), "");
    writeFileSync(inDirectory("music/disc 2/a.flac"), flac);
    symlinkSync("..", inDirectory("music/disc 2/up"));
    symlinkSync("../a.flac", inDirectory("music/disc 2/z.flac"));
    execFileSync(MAKE_PIPE, [inDirectory("music/pipe.mp3")]);

    const { code, stdout, stderr } = await finished(["cache", "import", "music", "--source", "other", "--json"]);
    const at = (name: string) => inDirectory(`music/${name}`);
    expect(code).toBe(1);
    expect(stderr.trimEnd().split("\n")).toEqual([
      `afterbay: ${at("disc 2/a.flac")}: it has the same name as ${at("a.flac")} (duplicate)`,
      `afterbay: ${at("empty.mp3")}: it is empty (not-audio)`,
      `afterbay: ${at("full.flac")}: The cache has no room for this (no-space)`,
      `afterbay: ${at("page.mp3")}: its bytes are not audio (not-audio)`,
    ]);
    expect(JSON.parse(stdout)).toMatchObject({
      imported: [
        { file: at("a.flac"), key: "other/a", bytes: 104 },
        { file: at("b.FLAC"), key: "other/b" },
        { file: at("disc 2/c d.flac"), key: "other/c%20d" },
        { file: at("disc 2/z.flac"), key: "other/z" },
      ],
      skipped: [
        { file: at("cover.jpg"), why: ".jpg is not audio" },
        { file: at("disc 2/up"), why: "a link to a folder" },
        { file: at("pipe.mp3"), why: "not a regular file" },
      ],
      failed: [{ code: "duplicate" }, { code: "not-audio" }, { code: "no-space" }, { code: "not-audio" }],
    });
    expect(fake.seen.find(({ path }) => path === "/control/import")?.body).toEqual({
      file: at("a.flac"),
      source: "other",
      id: "a",
    });
  });

  it("tells what it took", async () => {
    await importing();
    writeFileSync(inDirectory("a.flac"), flac);
    expect(await finished(["cache", "import", "a.flac", "./a.flac"])).toMatchObject({
      code: 0,
      lines: ["imported a, 104 B", "1 file imported, 104 B"],
      stderr: "",
    });
  });

  it("refuses by its size what is larger than the cache, unread", async () => {
    const fake = await importing();
    writeFileSync(inDirectory("huge.wav"), "");
    truncateSync(inDirectory("huge.wav"), 50 * 1024 ** 3);
    expect(await finished(["cache", "import", "huge.wav"])).toMatchObject({
      code: 1,
      stderr: `afterbay: ${inDirectory("huge.wav")}: it is larger than all the room that the cache has (no-space)\n`,
    });
    expect(fake.seen.some(({ path }) => path === "/control/import")).toBe(false);
  });

  it("fails for what was named and is not audio, or not there", async () => {
    await importing();
    writeFileSync(inDirectory("notes.txt"), "fLaC");
    execFileSync(MAKE_PIPE, [inDirectory("pipe")]);
    const { code, stderr } = await finished(["cache", "import", "notes.txt", "pipe", "/dev/null", "missing.mp3"]);
    expect(code).toBe(1);
    expect(stderr.trimEnd().split("\n")).toEqual([
      `afterbay: ${inDirectory("notes.txt")}: .txt is not audio (not-audio)`,
      `afterbay: ${inDirectory("pipe")}: not a regular file (skipped)`,
      "afterbay: /dev/null: not a regular file (skipped)",
      `afterbay: ${inDirectory("missing.mp3")}: no such file or directory (unreadable)`,
    ]);
  });

  it("--source is a name there", async () => {
    expect(await finished(["cache", "import", "x.mp3", "--source", "url:http://x/{id}"])).toMatchObject({ code: 2 });
    const fake = await importing();
    writeFileSync(inDirectory("a.flac"), flac);
    await finished(["cache", "import", "a.flac"], { env: { AFTERBAY_SOURCE: "music=url:http://x/{id}" } });
    expect(fake.seen.at(-1)?.body).toMatchObject({ source: "demo" });
  });

  it("ends in the middle when it is told to", async () => {
    let asked = () => {};
    const inFlight = new Promise<void>((resolve) => (asked = resolve));
    await owner({
      async override({ path }) {
        if (path !== "/control/import") return false;
        asked();
        return true;
      },
    });
    writeFileSync(inDirectory("a.flac"), flac);
    const program = begin(["cache", "import", "a.flac"]);
    await inFlight;
    program.signals.emit("SIGINT");
    expect(await program.code).toBe(0);
    expect(program.stderr.text).toBe("afterbay: ended by SIGINT before it was done.\n");
  });
});

describe("the first bytes of audio", () => {
  it.each([
    ["ID3\x04", "mp3"],
    ["\xff\xfb\x90\x00", "mp3"],
    ["\xff\xf1\x50\x80", "aac"],
    ["\x00\x00\x00\x20ftypM4A ", "m4a"],
    ["RIFF\x00\x00\x00\x00WAVEfmt ", "wav"],
    ["OggS\x00\x02OpusHead", "opus"],
    ["\x1aE\xdf\xa3", "webm"],
    ["RIFF\x00\x00\x00\x00AVI ", undefined],
    ["\xff\xd8\xff\xe0", undefined],
    ["\xff\xfe\x00\x00", undefined],
    ["\xff\xff\xff\xff", undefined],
    ["<html>", undefined],
    ["", undefined],
  ])("%j is %s", (head, expected) => {
    expect(sniff(Buffer.from(head, "latin1"))).toBe(expected);
  });
});
