import { createHash } from "node:crypto";
import { chmod, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/data-source/clock.ts";
import { request } from "../helpers/http-client.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { type Audio, describeWith, encode, type Kind, kinds, pathOf, run, SECONDS, succeed } from "./programs.ts";

let rig: Rig;
let dir: TmpDir;
let audio: Record<Kind, Audio>;
const hasFfmpeg = pathOf("ffmpeg") !== undefined;

beforeAll(async () => {
  dir = await tmpDir();
  // For players that do not run as root.
  await chmod(dir.path, 0o777);
  if (hasFfmpeg) audio = await encode(dir.path);
  // Ten times as fast: a source that is gone is given up in a second.
  const clock = { ...systemClock, after: (ms: number, act: () => void) => systemClock.after(ms / 10, act) };
  rig = await startRig({ clock: { ...clock, now: () => systemClock.now() * 10 } });
});
afterAll(async () => {
  await rig.close();
  await dir.remove();
});

/** What mpv makes of each, by the origin's own address. */
const decoded = new Map<Kind, string>();

let count = 0;
/** A track that nobody has asked for yet: its own address, and the one through the proxy. */
function coldTrack(kind: Kind): { name: string; origin: string; proxied: string } {
  const name = `${kind}-${(count += 1)}`;
  rig.up.resource(name, audio[kind]);
  return { name, origin: `${rig.up.origin}/${name}`, proxied: `http://127.0.0.1:${rig.port}/stream/${name}` };
}

const hash = (bytes: Uint8Array): string =>
  `${bytes.length} bytes, ${createHash("sha256").update(bytes).digest("hex")}`;

/** Of players whose every run takes a second: one that reads front to back, and one whose index is at the end. */
const some = ["mp3", "aac"] as const;

/** What a player writes into a file. */
async function written(play: (file: string) => Promise<unknown>): Promise<Buffer> {
  count += 1;
  const file = join(dir.path, `out-${count}.wav`);
  await play(file);
  const bytes = await readFile(file);
  await rm(file, { force: true });
  return bytes;
}

const mpv = (url: string, ...args: string[]): Promise<Buffer> =>
  written((file) =>
    succeed("mpv", ["--no-config", "--no-video", "--really-quiet", "--ao=pcm", `--ao-pcm-file=${file}`, ...args, url]),
  );
const ffmpeg = (url: string, ...args: string[]): Promise<Buffer> =>
  succeed("ffmpeg", ["-v", "error", ...args, "-i", url, "-f", "s16le", "-ac", "2", "-ar", "48000", "-"]);

describeWith(["mpv", "ffmpeg"], "mpv", () => {
  test.each(kinds)("plays %s to the end: cold, while it is kept, and from disk alone", async (kind) => {
    const { name, origin, proxied } = coldTrack(kind);
    const [expected, cold] = await Promise.all([mpv(origin), mpv(proxied)]);
    expect(expected.length).toBeGreaterThan(SECONDS * 48_000 * 4 * 0.95);
    decoded.set(kind, hash(expected));
    expect(hash(cold)).toBe(hash(expected));
    rig.up.reset();
    expect(hash(await mpv(proxied))).toBe(hash(expected));
    expect(rig.up.requests(name)).toHaveLength(0);
  });

  test.each(kinds)("begins %s in its middle, cold", async (kind) => {
    const { origin, proxied } = coldTrack(kind);
    const part = ["--start=14.5", "--length=3"];
    const [expected, got] = await Promise.all([mpv(origin, ...part), mpv(proxied, ...part)]);
    expect(expected.length).toBeGreaterThan(3 * 48_000 * 4 * 0.9);
    expect(hash(got)).toBe(hash(expected));
  });
});

describeWith(["ffmpeg"], "ffmpeg", () => {
  test.each(kinds)("decodes %s from places that it seeks to, then whole, then from disk", async (kind) => {
    const { origin, proxied } = coldTrack(kind);
    for (const seek of [["-ss", "22.5"], ["-ss", "3.7", "-t", "2"], []]) {
      const [got, expected] = await Promise.all([ffmpeg(proxied, ...seek), ffmpeg(origin, ...seek)]);
      expect(hash(got)).toBe(hash(expected));
    }
    expect(hash(await ffmpeg(proxied, "-ss", "18"))).toBe(hash(await ffmpeg(origin, "-ss", "18")));
  });
});

describeWith(["cvlc", "setpriv", "ffmpeg"], "VLC", () => {
  test.each(some)("plays %s to the end", async (kind) => {
    const { origin, proxied } = coldTrack(kind);
    // VLC refuses to run as root.
    const drop = process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : [];
    const play = (url: string): Promise<Buffer> =>
      written((file) => {
        const sout = `#transcode{acodec=s16l,channels=2,samplerate=48000}:std{access=file,mux=wav,dst=${file}}`;
        const [program, ...args] = [...drop, "cvlc", "-q", "--no-video", "--sout", sout, url, "vlc://quit"];
        return run(program, args, { HOME: dir.path, XDG_RUNTIME_DIR: dir.path });
      });
    const [expected, got] = await Promise.all([play(origin), play(proxied)]);
    expect(expected.length).toBeGreaterThan(SECONDS * 48_000 * 4 * 0.9);
    expect(hash(got)).toBe(hash(expected));
  });
});

describeWith(["gst-launch-1.0", "ffmpeg"], "GStreamer", () => {
  test.for(some)("plays %s to the end, where it can read HTTP", async (kind, { skip }) => {
    const sources = await Promise.all(
      ["souphttpsrc", "curlhttpsrc"].map(async (name) => ({ name, ...(await run("gst-inspect-1.0", [name])) })),
    );
    const source = sources.find(({ code }) => code === 0)?.name;
    if (source === undefined) {
      skip("neither souphttpsrc nor curlhttpsrc is installed");
      return;
    }
    const { origin, proxied } = coldTrack(kind);
    const play = (url: string): Promise<Buffer> =>
      written((file) => {
        const sink = ["audioconvert", "!", "wavenc", "!", "filesink", `location=${file}`];
        return succeed("gst-launch-1.0", ["-q", source, `location=${url}`, "!", "decodebin", "!", ...sink]);
      });
    const [got, expected] = await Promise.all([play(proxied), play(origin)]);
    expect(hash(got)).toBe(hash(expected));
  });
});

// Last: it stops the origin for good.
describeWith(["mpv", "ffmpeg"], "with the origin gone", () => {
  test("complete tracks play on, also after a restart, asking nobody; a partial one plays its part", async () => {
    const whole = kinds.map((kind) => ({ kind, ...coldTrack(kind) }));
    for (const { kind, name, origin } of whole) {
      if (!decoded.has(kind)) decoded.set(kind, hash(await mpv(origin)));
      const path = `/stream/w/${name}`;
      expect((await request({ port: rig.port, path })).status).toBe(200);
    }
    const partial = coldTrack("flac");
    const all = await ffmpeg(partial.origin);
    await rig.get(partial.name, { headers: { range: "bytes=0-999999" } });
    await eventually(async () => {
      expect((await request({ port: rig.port, path: `/stream/w/${whole[0]?.name}?offline=1` })).status).toBe(200);
      expect(rig.up.live()).toBe(0);
    });
    await rig.up.goOffline();
    rig.up.reset();
    for (const restarted of [false, true]) {
      if (restarted) await rig.restart();
      for (const { kind, name } of restarted ? whole : whole.slice(0, 1)) {
        expect(hash(await mpv(`http://127.0.0.1:${rig.port}/stream/w/${name}`))).toBe(decoded.get(kind));
      }
      const { stdout } = await run("ffmpeg", [
        ...["-v", "error", "-i", `http://127.0.0.1:${rig.port}/stream/${partial.name}`],
        ...["-f", "s16le", "-ac", "2", "-ar", "48000", "-"],
      ]);
      expect(stdout.length).toBeGreaterThan(3 * 48_000 * 4);
      // The last frame of the part may be a torn one.
      const heard = stdout.subarray(0, stdout.length - 8192 * 4);
      expect(hash(heard)).toBe(hash(all.subarray(0, heard.length)));
    }
    expect(rig.up.requests()).toHaveLength(0);
    expect(rig.hook.calls()).toHaveLength(0);
  });
});
