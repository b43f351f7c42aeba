import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { eventually, tmpDir, type TmpDir } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { type Audio, describeWith, encode, type Kind, pathOf, SECONDS } from "./programs.ts";

const program =
  ["chromium", "chromium-browser", "google-chrome"].find((name) => pathOf(name) !== undefined) ?? "chromium";

// What runs in the page, as text: these tests' own types know no DOM.
const PLAY = `async (source) => {
  const player = source === null ? document.querySelector("audio") : new Audio(source);
  const until = (type, holds = () => true) => new Promise((resolve, reject) => {
    player.addEventListener("error", () => reject(new Error(player.error.message)), { once: true });
    player.addEventListener(type, function check() {
      if (!holds()) return;
      player.removeEventListener(type, check);
      resolve();
    });
  });
  const from = async (seconds) => {
    const playing = until("timeupdate", () => player.currentTime > seconds + 0.2);
    if (seconds > 0) player.currentTime = seconds;
    await player.play();
    await playing;
    return player.currentTime;
  };
  const begun = await from(0);
  const middle = await from(player.duration / 2);
  const ended = until("ended");
  player.currentTime = player.duration - 0.5;
  await ended;
  return { duration: player.duration, begun, middle, end: player.currentTime };
}`;
const LOAD = `new Promise((resolve) => {
  const player = document.querySelector("audio");
  player.addEventListener("canplay", () => resolve("plays"));
  player.addEventListener("error", () => resolve("refused"));
  player.preload = "auto";
  player.load();
})`;

const LISTEN = `() => new Promise((resolve) => {
  globalThis.told = [];
  globalThis.events = new EventSource("/api/events");
  events.addEventListener("open", resolve);
  events.addEventListener("chunk", ({ data }) => told.push("chunk " + JSON.parse(data).index));
  events.addEventListener("session", ({ data }) => {
    const { play, change, outcome } = JSON.parse(data);
    told.push(["session", play, change, outcome].join(" "));
  });
})`;

/** Passes connections on, and breaks them when told to. */
async function startRelay(): Promise<{ readonly port: number; to: number; cut(): void; close(): void }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    const onward = connect(relay.to, "127.0.0.1");
    for (const one of [socket, onward]) sockets.add(one.on("error", () => {}));
    socket.pipe(onward).pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const relay = {
    port: (server.address() as AddressInfo).port,
    to: 0,
    cut: () => sockets.forEach((socket) => socket.destroy()),
    close: () => {
      relay.cut();
      server.close();
    },
  };
  return relay;
}

describeWith([program, "ffmpeg"], "Chromium", () => {
  const kinds: readonly Kind[] = ["opus", "mp3", "flac"];
  let dir: TmpDir;
  let audio: Record<Kind, Audio>;
  let browser: Browser;
  let rig: Rig;
  let page: Page;
  let problems: string[];

  beforeAll(async () => {
    dir = await tmpDir();
    const args = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required", "--mute-audio"];
    [audio, browser] = await Promise.all([
      encode(dir.path, kinds),
      chromium.launch({
        executablePath: pathOf(program) ?? program,
        args: [...args, "--disable-background-networking"],
      }),
    ]);
  }, 60_000);
  afterAll(async () => {
    await browser.close();
    await dir.remove();
  });
  beforeEach(async () => {
    rig = await startRig();
    problems = [];
    page = await browser.newPage();
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(String(error)));
  });
  afterEach(async () => {
    await page.close();
    await rig.close();
  });

  interface Played {
    readonly duration: number;
    readonly begun: number;
    readonly middle: number;
    readonly end: number;
  }

  /** Plays the page's first player, or one that is made for `source`: a bit from 0, from the middle, and to the end. */
  const play = (source?: string): Promise<Played> => page.evaluate(`(${PLAY})(${JSON.stringify(source ?? null)})`);

  const assertPlayed = ({ duration, begun, middle, end }: Played): void => {
    expect(Math.abs(duration - SECONDS)).toBeLessThan(0.2);
    expect(begun).toBeLessThan(5);
    expect(middle).toBeGreaterThan(SECONDS / 2);
    expect(Math.abs(end - SECONDS)).toBeLessThan(0.2);
  };

  test.each(kinds)("plays %s cold, seeks to its middle and to its end, and again from disk", async (kind) => {
    rig.up.resource("song", audio[kind]);
    await page.goto(`http://127.0.0.1:${rig.port}/`);
    assertPlayed(await play("/stream/song"));
    expect((await rig.get("song")).status).toBe(200);
    rig.up.reset();
    await page.reload();
    // By now the page lists the track with a player of its own.
    assertPlayed(await play());
    expect(rig.up.requests()).toHaveLength(0);
    expect(problems).toEqual([]);
  });

  test("the page loads nothing by itself, runs no script, and takes its token along", async () => {
    rig.up.resource("song", audio.mp3);
    rig.up.resource("<script>document.title = 'had'</script>", audio.mp3);
    await rig.get("song", { headers: { range: "bytes=0-9" } });
    await rig.get(encodeURIComponent("<script>document.title = 'had'</script>"), { headers: { range: "bytes=0-9" } });
    await rig.up.waitIdle();
    rig.up.reset();
    const { url } = await rig.proxy.listen({ port: 0, token: "s3cret" });
    expect((await page.goto(`${url}/?token=s3cret`))?.status()).toBe(200);
    expect(await page.title()).toBe("Afterbay");
    expect(await page.locator("audio").count()).toBe(2);
    expect(rig.up.requests()).toHaveLength(0);
    expect(await page.evaluate(LOAD)).toBe("plays");
    expect(await page.content()).not.toContain("s3cret");
    expect(problems).toEqual([]);
  });

  test("an EventSource hears of what is played, and of what it missed when it comes back", async () => {
    rig.up.resource("song", audio.mp3);
    const relay = await startRelay();
    const { port } = await rig.proxy.listen({ port: 0, allowHosts: [`127.0.0.1:${relay.port}`] });
    relay.to = port;
    // A page of this origin that allows itself connections.
    await page.goto(`http://127.0.0.1:${relay.port}/ping`);
    await page.evaluate(`(${LISTEN})()`);
    const told = (): Promise<string[]> => page.evaluate("globalThis.told");
    await rig.get("song?play=one");
    // A chunk is told of when it is on the disk, which may be after the player has all its bytes.
    for (const event of ["session one ended complete", "chunk 0"]) {
      await eventually(async () => expect(await told()).toContain(event), { timeoutMs: 5000 });
    }
    relay.cut();
    await rig.get("song?play=two");
    await eventually(async () => expect(await told()).toContain("session two ended complete"), { timeoutMs: 8000 });
    expect((await told()).filter((one) => one.startsWith("session"))).toHaveLength(6);
    relay.close();
  });

  test("a page of another origin can not play from here", async () => {
    rig.up.resource("song", audio.mp3);
    const foreign = `<!doctype html><audio id="plain" src="http://127.0.0.1:${rig.port}/stream/song" preload="auto"></audio>`;
    rig.up.resource("page", { content: foreign, contentType: "text/html" });
    await page.goto(`${rig.up.origin.replace("127.0.0.1", "localhost")}/page`);
    expect(await page.evaluate(LOAD)).toBe("refused");
    expect(rig.up.requests("song")).toHaveLength(0);
  });
});
