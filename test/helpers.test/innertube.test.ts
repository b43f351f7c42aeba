import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type FakeYouTube, type FakeYouTubeOptions, startFakeYouTube } from "../helpers/innertube/fake.ts";
import { makeScript } from "../helpers/innertube/player-script.ts";
import { type ClientView, usualFormats } from "../helpers/innertube/video.ts";

const ID = "dQw4w9WgXcQ";
const MiB = 1024 * 1024;

let yt: FakeYouTube;
beforeEach(() => start());
afterEach(() => yt.close());

async function start(options?: FakeYouTubeOptions): Promise<void> {
  yt = await startFakeYouTube(options);
}

/** The URL of itag 251, or what the player script has to make it of. */
async function urlOf(view: ClientView = {}, signatureTimestamp?: number): Promise<URL> {
  yt.video(ID, { formats: usualFormats(), clients: { "*": view } });
  const context = { client: { clientName: "TVHTML5", clientVersion: "1", visitorData: "V" } };
  const playbackContext = { contentPlaybackContext: { signatureTimestamp } };
  const answer = (await (
    await fetch(`${yt.origin}/youtubei/v1/player`, {
      method: "POST",
      headers: { "x-youtube-client-version": "1" },
      body: JSON.stringify({ videoId: ID, context, playbackContext }),
    })
  ).json()) as { streamingData: { adaptiveFormats: { itag: number; url?: string; signatureCipher?: string }[] } };
  const found = answer.streamingData.adaptiveFormats.find(({ itag }) => itag === 251);
  return new URL(found?.url ?? `${yt.origin}/?${found?.signatureCipher}`);
}

async function get(url: URL, range?: string, method = "GET"): Promise<{ status: number; bytes: Uint8Array }> {
  const response = await fetch(url, { method, headers: range === undefined ? {} : { range } });
  return { status: response.status, bytes: new Uint8Array(await response.arrayBuffer()) };
}

describe("the fake googlevideo", () => {
  it("serves bounded ranges up to 1 MiB, and the same bytes by every URL", async () => {
    for (const url of [await urlOf(), await urlOf()]) {
      const { status, bytes } = await get(url, `bytes=5-${MiB + 4}`);
      expect(status).toBe(206);
      assertBytes(bytes, yt.bytes(ID, 251).subarray(5, MiB + 5));
    }
    expect((await get(await urlOf(), "bytes=3199999-4000000")).bytes).toHaveLength(1);
    expect((await get(await urlOf(), "bytes=3200000-3200001")).status).toBe(416);
  });

  it.each([
    ["no range", undefined, "GET", "no range"],
    ["an open-ended one", "bytes=0-", "GET", "open-ended"],
    ["HEAD", "bytes=0-9", "HEAD", "method"],
    ["more than 1 MiB", `bytes=0-${MiB}`, "GET", "range too large"],
  ])("refuses %s", async (_what, range, method, why) => {
    expect((await get(await urlOf(), range, method)).status).toBe(403);
    expect(yt.media).toMatchObject([{ status: 403, why }]);
  });

  it("answers &range= with 200 and the piece's length", async () => {
    const url = await urlOf();
    url.searchParams.set("range", "10-19");
    expect(await get(url)).toEqual({ status: 200, bytes: Uint8Array.from(yt.bytes(ID, 251).subarray(10, 20)) });
  });

  it.each<[string, ClientView, string]>([
    ["is bound to another address", { urls: { ip: "203.0.113.7" } }, "ip"],
    ["is over", { urls: { lifetimeMs: 0 } }, "expired"],
    ["is dead", { urls: { dead: 1 } }, "dead"],
    ["has an n that is not changed", { throttled: true }, "n"],
  ])("refuses a URL that %s", async (_what, view, why) => {
    expect((await get(await urlOf(view), "bytes=0-9")).status).toBe(403);
    expect(yt.media).toMatchObject([{ why }]);
    if (why === "dead") expect((await get(await urlOf(view), "bytes=0-9")).status).toBe(206);
  });

  it("refuses a forged signature", async () => {
    const url = await urlOf();
    url.searchParams.set("sig", "0");
    expect((await get(url, "bytes=0-9")).status).toBe(403);
  });

  it("serves a first part and refuses the rest, with what crosses cut short or refused", async () => {
    const short = await urlOf({ urls: { upTo: 100 } });
    expect((await get(short, "bytes=90-199")).bytes).toHaveLength(10);
    expect((await get(short, "bytes=100-199")).status).toBe(403);
    const strict = await urlOf({ urls: { upTo: { at: 100, crossing: "refused" } } });
    expect((await get(strict, "bytes=90-199")).status).toBe(403);
    expect((await get(strict, "bytes=90-99")).status).toBe(206);
  });

  it.each([
    ["open-ended ranges", { openEnded: "paced" } as const, {}, "bytes=0-"],
    ["a wrong n", { wrongN: "paced" } as const, { throttled: true }, "bytes=0-99999"],
  ])("paces %s where it is told to", async (_what, options, view, range) => {
    await yt.close();
    await start(options);
    const response = await fetch(await urlOf(view), { headers: { range } });
    const reader = response.body?.getReader();
    expect([response.status, (await reader?.read())?.value?.length]).toEqual([206, 8192]);
    await reader?.cancel();
  });
});

describe("the fake player script", () => {
  it("undoes what was scrambled for it and changes n as its server expects, each version its own way", () => {
    for (const version of [0, 1, 7]) {
      const script = makeScript(version);
      const made = runInNewContext(`${script.source.replace("g.start=", "g.S=S;g.start=")};_yt_player.S`) as (
        url: string,
        name: string,
        value: string,
      ) => { get(name: string): string; finish(): void };
      const url = made("http://h/?n=abcxyz", "sig", encodeURIComponent(script.scramble("0123456789abcdef")));
      url.finish();
      expect([url.get("sig"), url.get("n")]).toEqual(["0123456789abcdef", script.transform("abcxyz")]);
    }
    expect(makeScript(0).transform("abc")).not.toBe(makeScript(1).transform("abc"));
  });

  it("makes wrong signatures for a client that named another script", async () => {
    const { searchParams } = await urlOf({ ciphered: true });
    const named = await urlOf({ ciphered: true }, yt.script.signatureTimestamp);
    const unscramble = (s: string | null): boolean => yt.secrets.some((sig) => yt.script.scramble(sig) === s);
    expect([unscramble(searchParams.get("s")), unscramble(named.searchParams.get("s"))]).toEqual([false, true]);
  });
});
