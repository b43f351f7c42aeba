import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import type { PlayerDriver } from "../../src/player/driver.ts";
import { type MpvDriverOptions, startMpvDriver } from "../../src/player/mpv/mpv-driver.ts";
import { fast } from "../data-source/fakes.ts";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { startUpstream, type Upstream } from "../helpers/scripted-upstream.ts";
import { describeWith } from "../players/programs.ts";
import { longestSilence, RATE, samplesOf, Told, wav } from "./sound.ts";
import { MEASURED } from "../helpers/measured.ts";

let up: Upstream;
let dir: TmpDir;
beforeAll(async () => {
  dir = await tmpDir();
  up = await startUpstream();
  for (const [name, seconds, hertz] of [
    ["one", 1, 440],
    ["two", 1, 660],
    ["long", 30, 330],
  ] as const) {
    up.resource(name, { content: wav(seconds, hertz), contentType: "audio/wav" });
  }
});
const drivers: PlayerDriver[] = [];
afterEach(async () => {
  await Promise.all(drivers.splice(0).map((driver) => driver.close()));
});
afterAll(async () => {
  await up.close();
  await dir.remove();
});

const url = (name: string): string => `${up.origin}/${name}`;

async function started(options: MpvDriverOptions = {}): Promise<{ driver: PlayerDriver; told: Told }> {
  const driver = await startMpvDriver({ args: ["--ao=null"], ...options });
  drivers.push(driver);
  return { driver, told: new Told(driver) };
}

let count = 0;
/** A program in place of mpv. */
async function script(...lines: string[]): Promise<string> {
  const path = join(dir.path, `mpv-${(count += 1)}`);
  await writeFile(path, ["#!/bin/sh", ...lines, ""].join("\n"));
  await chmod(path, 0o755);
  return path;
}

/** mpv in a script that notes its process ids. */
async function killable(): Promise<{ program: string; pid: () => Promise<number> }> {
  const pids = join(dir.path, `pids-${(count += 1)}`);
  const program = await script(`echo $$ >> ${pids}`, 'exec mpv "$@"');
  const pid = async (): Promise<number> => {
    const last = Number((await readFile(pids, "utf8")).trim().split("\n").at(-1));
    // 0 would be this very group of processes.
    if (!(last > 1)) throw new Error("No process id was noted");
    return last;
  };
  return { program, pid };
}

/** Files that lead a player to another address. */
function lists(to: string): readonly { readonly type: string; readonly text: string }[] {
  const dash = `<Representation id="1" bandwidth="1"><BaseURL>${to}</BaseURL></Representation>`;
  const mpd = `<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT3S"`;
  return [
    { type: "audio/x-mpegurl", text: `#EXTM3U\n#EXTINF:1,one\n${to}\n` },
    { type: "audio/mpeg", text: `#EXTM3U\n${to}\n` },
    { type: "audio/x-scpls", text: `[playlist]\nNumberOfEntries=1\nFile1=${to}\n` },
    {
      type: "application/vnd.apple.mpegurl",
      text: `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-VERSION:3\n#EXTINF:1.0,\n${to}\n#EXT-X-ENDLIST\n`,
    },
    { type: "audio/mpeg", text: `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1000\n${to}\n` },
    {
      type: "application/dash+xml",
      text: `<?xml version="1.0"?>${mpd} profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet mimeType="audio/mp4">${dash}</AdaptationSet></Period></MPD>`,
    },
    { type: "audio/mpeg", text: `# mpv EDL v0\n${to}\n` },
    { type: "audio/mpeg", text: `ffconcat version 1.0\nfile '${to}'\n` },
    { type: "application/x-cue", text: `FILE "${to}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n` },
    { type: "video/x-ms-asf", text: `[Reference]\nRef1=${to}\n` },
  ];
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describeWith(["mpv"], "the mpv driver", () => {
  test("tells when sound begins, how long it is, where it is, and its end", MEASURED, async () => {
    const { driver, told } = await started();
    driver.load({ load: 1, url: url("one") }, 0);
    const { positionMs } = await told.until("ended");
    expect(positionMs).toBeGreaterThan(400);
    expect(told.main.map(({ type }) => type)).toEqual(["started", "ended"]);
    expect(told.all).toContainEqual({ type: "duration", load: 1, durationMs: 1000 });
    expect((await told.until("position")).positionMs).toBeLessThan(300);
  });

  test("writes what follows behind what plays, without a gap, and softer where it is to be", async () => {
    const file = join(dir.path, "gapless.wav");
    const { driver, told } = await started({ args: ["--ao=pcm", `--ao-pcm-file=${file}`] });
    // Decoding runs ahead of everything: it is held until what follows is at hand.
    driver.pause(true);
    driver.load({ load: 1, url: url("one") }, 0);
    await told.until("opened");
    driver.setNext({ load: 2, url: url("two"), gainDb: -6 });
    driver.pause(false);
    await told.until("ended", ({ load }) => load === 2);
    await driver.close();
    expect(told.main.map((event) => ("load" in event ? `${event.type} ${event.load}` : event.type))).toEqual([
      "started 1",
      "ended 1",
      "started 2",
      "ended 2",
    ]);
    const samples = samplesOf(await readFile(file));
    expect(samples).toHaveLength(2 * RATE);
    expect(longestSilence(samples)).toBeLessThan(30);
    const peak = (from: number): number => Math.max(...samples.subarray(from * RATE, (from + 0.5) * RATE));
    expect(20 * Math.log10(peak(1.25) / peak(0.25))).toBeCloseTo(-6, 1);
  });

  test("follows with what was said last, or with nothing", async () => {
    const { driver, told } = await started({ args: ["--ao=pcm", "--ao-pcm-file=/dev/null"] });
    driver.pause(true);
    driver.load({ load: 1, url: url("one") }, 0);
    await told.until("opened");
    for (let load = 2; load < 20; load += 1) driver.setNext({ load, url: url("two") });
    driver.pause(false);
    await told.until("ended", ({ load }) => load === 19);
    driver.pause(true);
    driver.load({ load: 20, url: url("one") }, 0);
    await told.until("opened", ({ load }) => load === 20);
    driver.setNext({ load: 21, url: url("two") });
    driver.setNext(undefined);
    driver.pause(false);
    await told.until("ended", ({ load }) => load === 20);
    await delay(100);
    expect(told.main.filter(({ type }) => type === "started")).toHaveLength(3);
  });

  test("begins and goes on where it is told to; behind the end is the end", async () => {
    const { driver, told } = await started();
    driver.setVolume(30);
    driver.load({ load: 1, url: url("long") }, 12_000);
    await told.until("started");
    expect((await told.until("position")).positionMs).toBeGreaterThanOrEqual(11_900);
    driver.seek(20_000);
    await told.until("settled");
    const { positionMs } = await told.until("position", (event) => event.positionMs > 15_000);
    expect(positionMs).toBeGreaterThan(19_900);
    expect(positionMs).toBeLessThan(20_500);
    driver.seek(100_000);
    expect(await told.until("ended")).toMatchObject({ load: 1, reason: "end" });
  });

  test("tells what cannot be opened or understood", async () => {
    up.resource("noise", { size: 5000 });
    up.resource("empty", { size: 0 });
    const { driver, told } = await started();
    const bad = [url("nothing"), url("noise"), url("empty"), "file:///etc/passwd", "--help"];
    for (const [load, one] of bad.entries()) {
      driver.load({ load, url: one }, 0);
      expect(await told.until("ended", (event) => event.load === load)).toMatchObject({ reason: "failed" });
    }
    await delay(100);
    expect(told.main.filter(({ type }) => type === "started")).toHaveLength(0);
    driver.load({ load: 99, url: url("one") }, 0);
    await told.until("started");
  });

  test("opens nothing that a stream names: playlists, manifests, cue sheets, EDL", async () => {
    const { driver, told } = await started();
    up.resource("named", { content: wav(1, 440), contentType: "audio/wav" });
    for (const [load, { type, text }] of lists(url("named")).entries()) {
      up.resource(`list-${load}`, { content: Buffer.from(text), contentType: type });
      driver.load({ load, url: url(`list-${load}`) }, 0);
      expect(await told.until("ended", (event) => event.load === load)).toMatchObject({ reason: "failed" });
    }
    await delay(100);
    expect(up.requests("named")).toHaveLength(0);
  });

  test("goes on where it was when mpv is killed; at the fourth time in a minute it says so; a load tries anew", async () => {
    const { program, pid } = await killable();
    const { driver, told } = await started({ program });
    driver.load({ load: 1, url: url("long") }, 9000);
    for (let death = 1; death <= 4; death += 1) {
      const from = told.all.findLastIndex(({ type }) => type === "restarting") + 1;
      await told.until("started", undefined, from);
      await told.until("position", ({ positionMs }) => positionMs > 9000, from);
      process.kill(await pid(), "SIGKILL");
      if (death < 4) await told.until("restarting", undefined, from);
    }
    expect((await told.until("broken")).message).toMatch(/^mpv ended 4 times within a minute: .*SIGKILL/);
    const last = told.all.findLast((event) => event.type === "position");
    expect(last?.positionMs).toBeGreaterThan(9000);
    expect(last?.positionMs).toBeLessThan(20_000);
    const from = told.all.length;
    driver.load({ load: 2, url: url("one") }, 0);
    await told.until("started", ({ load }) => load === 2, from);
  });

  test("ends an mpv that hangs, and goes on", async () => {
    const { program, pid } = await killable();
    const { driver, told } = await started({ program, clock: fast(5).clock });
    driver.load({ load: 1, url: url("long") }, 5000);
    await told.until("position");
    const hung = await pid();
    process.kill(hung, "SIGSTOP");
    await told.until("restarting");
    await told.until("started", undefined, told.all.length);
    expect(isAlive(hung)).toBe(false);
    expect((await told.until("position", undefined, told.all.length)).positionMs).toBeGreaterThanOrEqual(4900);
  });

  test("leaves nothing behind, and lets nobody else in", async () => {
    vi.stubEnv("XDG_RUNTIME_DIR", dir.path);
    const { program, pid } = await killable();
    const { driver } = await started({ program });
    const [place = ""] = (await readdir(dir.path)).filter((name) => name.startsWith("afterbay-mpv-"));
    expect((await stat(join(dir.path, place))).mode & 0o777).toBe(0o700);
    await driver.close();
    vi.unstubAllEnvs();
    const mpv = await pid();
    expect(isAlive(mpv)).toBe(false);
    expect(await readdir(dir.path)).not.toContain(place);
    driver.load({ load: 1, url: url("one") }, 0);
    driver.seek(1);
    await driver.close();
  });

  test("mpv does not play on alone when this process is killed", async () => {
    const { program, pid } = await killable();
    const module = new URL("../../dist/player/index.js", import.meta.url).href;
    const code = `import { startMpvDriver } from ${JSON.stringify(module)};
      await startMpvDriver({ program: ${JSON.stringify(program)}, args: ["--ao=null"] });
      console.log("ready");
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
      // Whoever is killed cannot tidy up.
      env: { ...process.env, XDG_RUNTIME_DIR: dir.path },
    });
    await once(child.stdout, "data");
    const mpv = await pid();
    expect(isAlive(mpv)).toBe(true);
    child.kill("SIGKILL");
    await eventually(() => expect(isAlive(mpv)).toBe(false), { timeoutMs: 10_000 });
  });

  test("works in a wrapper that hands on nothing, and ends with it", async () => {
    const pids = join(dir.path, "wrapped");
    const program = await script('mpv "$@" 3>&- &', `echo $! > ${pids}`, "wait");
    const { driver, told } = await started({ program });
    driver.load({ load: 1, url: url("one") }, 0);
    await told.until("started");
    await driver.close();
    const mpv = Number(await readFile(pids, "utf8"));
    await eventually(() => expect(isAlive(mpv)).toBe(false), { timeoutMs: 10_000 });
  });
});

test("says in one line what is wrong with mpv", async () => {
  const says = (program: string, options = {}): Promise<string> =>
    startMpvDriver({ program, ...options }).then(
      () => "nothing",
      (error: unknown) => String(error),
    );
  expect(await says(join(dir.path, "no-such-mpv"))).toMatch(
    /^ConfigError: mpv is not installed \(".*no-such-mpv" was not found\); install it: apt install mpv/,
  );
  const old = await script(
    'if [ "$2" = --version ]; then echo "mpv 0.32.0 Copyright"; else echo "no such option" >&2; exit 1; fi',
  );
  expect(await says(old)).toMatch(/is mpv 0\.32, which is too old: mpv 0\.35 or newer is needed$/);
  const other = await script('echo "What mpv?" >&2; exit 3');
  expect(await says(other)).toMatch(/does not work as mpv: What mpv\?$/);
  const silent = await script("exec sleep 60");
  expect(await says(silent, { clock: fast(50).clock })).toMatch(/does not work as mpv: it does not answer$/);
  expect(await says(dir.path)).toMatch(/cannot be started \(EACCES\)$/);
});
