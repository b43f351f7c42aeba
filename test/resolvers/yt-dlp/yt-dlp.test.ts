import { type IncomingMessage, request as ask } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { once } from "node:events";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Resolution, Resolver, ResolveRequest } from "../../../src/data-source/resolution.ts";
import { AfterbayError } from "../../../src/errors.ts";
import { openSource } from "../../../src/resolvers/index.ts";
import { validateResolution } from "../../../src/resolvers/validate-resolution.ts";
import { failureOf } from "../../../src/resolvers/yt-dlp/failures.ts";
import { Guard } from "../../../src/resolvers/yt-dlp/guard.ts";
import { createYtDlp } from "../../../src/resolvers/yt-dlp/yt-dlp.ts";
import { eventually } from "../../helpers/process.ts";
import { type Rig, startRig } from "../../helpers/rig.ts";
import { startUpstream, type Upstream } from "../../helpers/scripted-upstream.ts";
import { describeResolverContract } from "../contract.ts";
import { type FakeYtDlp, startFakeYtDlp, video } from "./fake.ts";

const ID = "dQw4w9WgXcQ";
const SECRET = "SECRET-SIGNATURE";
const IDS = ["song-numb-1", "song-numb-2", "-song-numb3"];

describeResolverContract("yt-dlp", { tracks: true, backend: "limited" }, async (options) => {
  const fake = await startFakeYtDlp();
  for (const id of IDS) await fake.answer(id, video(id));
  const resolver = await createYtDlp(fake.query, options);
  let settled = Promise.resolve();
  const then = (act: () => Promise<void>) => (): void => {
    settled = act();
  };
  const says = (words: string) =>
    then(() => fake.fail(`ERROR: [youtube] x: ${words} https://r.example/?sig=${SECRET}`));
  return {
    resolver: { ...resolver, resolve: (id, about) => settled.then(() => resolver.resolve(id, about)) },
    ids: IDS,
    unknownId: "no-such-vid",
    namesVariants: true,
    host: "rr1---sn.googlevideo.com",
    secrets: () => [SECRET],
    backend: {
      calls: () => fake.calls().length,
      live: () => (fake.live() > 0 ? 1 : 0),
      hang: then(() => fake.hold(true)),
      say: {
        "not-found": says("HTTP Error 404: Not Found"),
        unplayable: says("Private video. Sign in if you've been granted access"),
        forbidden: says("HTTP Error 403: Forbidden"),
        transient: says("Unable to download webpage: HTTP Error 503: Busy"),
      },
    },
    async close() {
      await resolver.close?.();
      await fake.close();
    },
  };
});

describe("the yt-dlp source", () => {
  let fake: FakeYtDlp;
  let resolver: Resolver;
  beforeEach(async () => {
    fake = await startFakeYtDlp();
    await fake.answer(ID, video(ID));
    resolver = await createYtDlp(fake.query);
  });
  afterEach(async () => {
    await resolver.close?.();
    await fake.close();
  });
  const request = (about: Partial<ResolveRequest> = {}): ResolveRequest => ({
    signal: new AbortController().signal,
    attempt: 1,
    reason: "first",
    ...about,
  });
  const resolve = (id = ID, about = {}): Promise<Resolution> => resolver.resolve(id, request(about));
  async function failure(id = ID): Promise<AfterbayError> {
    const outcome: unknown = await resolve(id).catch((error: unknown) => error);
    if (outcome instanceof AfterbayError) return outcome;
    throw new Error("It did not fail as it should", { cause: outcome });
  }

  test("reads what is to be sent, and what is known of the track", async () => {
    const { url, ...rest } = validateResolution(await resolve());
    expect(new URL(url).searchParams.get("itag")).toBe("251");
    expect(rest).toMatchObject({
      headers: { "user-agent": "A browser", "accept-language": "en" },
      variant: "251-1712345678123456-3000251",
      contentLength: 3_000_251,
      contentType: 'audio/webm; codecs="opus"',
      expiresAt: 4_000_000_000_000,
      maxWindow: 1024 ** 2,
      title: "A song",
      artist: "One, Two",
      album: "Songs",
      durationMs: 212_400,
      artwork: "https://i.ytimg.com/vi/x/maxres.jpg",
    });
  });

  test("sends the cookies that are meant for the URL, and names no bytes of other sites", async () => {
    await fake.answer(
      "x",
      video("x", {
        url: "https://cdn.example/x.mp3",
        ext: "mp3",
        cookies: 'a=1; Domain=.cdn.example; Path=/; Secure; Expires=1999999999; b="2 3"; Path=/x; Version=0',
      }),
    );
    const { headers, variant, expiresAt, contentType } = await resolve("https://site.example/x");
    expect(headers).toMatchObject({ cookie: 'a=1; b="2 3"' });
    expect([variant, expiresAt, contentType]).toEqual([undefined, undefined, "audio/mpeg"]);
  });

  test("an odd title or cover leaves a track playable", async () => {
    for (const thumbnail of [
      `https://x.example/${"x".repeat(20_000)}`,
      "https://me:pw@x.example/",
      "data:,",
      5,
      null,
    ]) {
      await fake.answer(ID, video(ID, { thumbnail, track: { de: "Lied" }, title: "One\nline", duration: -1 }));
      const resolution = validateResolution(await resolve());
      expect(resolution).toMatchObject({ title: "One line", artwork: undefined, durationMs: undefined });
    }
  });

  test("looks for the bytes that are held among all formats", async () => {
    const { variant, contentType } = await resolve(ID, { variant: "140-1712345678123456-3000140", quality: "high" });
    expect([variant, contentType]).toEqual(["140-1712345678123456-3000140", "audio/mp4"]);
    expect(fake.calls()[0]?.args.find((arg) => arg.startsWith("140/"))).toBeDefined();
  });

  test("runs it without its configuration, a shell or secrets, behind a guard, the page after --", async () => {
    vi.stubEnv("AFTERBAY_TOKEN", "SECRET-TOKEN");
    vi.stubEnv("no_proxy", "*");
    await resolve();
    vi.unstubAllEnvs();
    const [call] = fake.calls();
    expect(call?.args[0]).toBe("--ignore-config");
    expect(call?.args.slice(-2)).toEqual(["--", `https://www.youtube.com/watch?v=${ID}`]);
    expect(call?.env).toMatch(/^http:\/\/afterbay:[0-9a-f]{48}@127\.0\.0\.1:\d+ 0$/);
    const password = call?.env.slice(16, 64) ?? "";
    expect(call?.args.join(" ")).not.toContain(password);
  });

  test("takes for no track what is no link, and runs nothing for it", async () => {
    const ids = [
      "--exec=touch x",
      "-j",
      "ytsearch:song",
      ":ytfav",
      "a song",
      "file:///etc/passwd",
      "/etc/passwd",
      "https://x.example/\n--exec",
      "https://me:pw@x.example/",
      "http://",
      "ftp://x.example/y",
    ];
    for (const id of ids) expect((await failure(id)).code, id).toBe("not-found");
    expect(fake.calls()).toEqual([]);
  });

  test("refuses what has no bytes in one piece, or is no answer", async () => {
    const answers: readonly (readonly [string, object | string])[] = [
      ["unplayable", video("x", { protocol: "m3u8_native" })],
      ["unplayable", video("x", { protocol: "http_dash_segments" })],
      ["unplayable", video("x", { url: "https://cdn.example/x.mpd" })],
      ["unplayable", video("x", { protocol: "rtmp", url: "rtmp://cdn.example/x" })],
      ["unplayable", video("x", { url: "file:///etc/passwd" })],
      ["unplayable", video("x", { is_live: true })],
      ["unplayable", video("x", { has_drm: true })],
      ["not-found", `${JSON.stringify(video("x"))}\n${JSON.stringify(video("y"))}\n`],
      ["upstream-failed", "<html>"],
      ["upstream-failed", "null"],
      ["upstream-failed", ""],
    ];
    for (const [code, answer] of answers) {
      await fake.answer("x", answer);
      const error = await failure("https://site.example/x");
      expect(error.code, JSON.stringify(answer).slice(0, 80)).toBe(code);
      expect(inspect(error, { depth: 9 })).not.toContain(SECRET);
    }
  });

  test("says what its words mean", async () => {
    const meanings = {
      "[youtube] x: Video unavailable": "not-found",
      "[generic] 'x' is not a valid URL": "not-found",
      "Unsupported URL: https://x.example/": "not-found",
      "[youtube] x: Private video. Sign in if you've been granted access to this video": "unplayable",
      "[youtube] x: Sign in to confirm your age. This video may be inappropriate for some users.": "unplayable",
      "[youtube] x: The uploader has not made this video available in your country": "unplayable",
      "[youtube] x: Video unavailable. This video has been removed by the uploader": "unplayable",
      "[youtube] x: Requested format is not available. Use --list-formats": "unplayable",
      "[x] y: This video is DRM protected": "unplayable",
      "[youtube] x: Sign in to confirm you’re not a bot. Use --cookies-from-browser": "busy",
      "[generic] x: Unable to download webpage: HTTP Error 429: Too Many Requests": "busy",
      "[generic] x: Unable to download webpage: HTTP Error 502: Bad Gateway": "transient",
      "[generic] x: Unable to download webpage: <urlopen error [Errno -2] Name or service not known>": "unreachable",
      "[generic] x: Unable to download webpage: The read operation timed out": "transient",
      "[generic] x: Unable to download webpage: HTTP Error 403: Forbidden": "upstream-failed",
      "[youtube] x: Unable to extract initial player response": "upstream-failed",
      // An id may hold any word.
      "[generic] deleted-private: Unable to download webpage: HTTP Error 500: Oops": "transient",
    };
    for (const [words, code] of Object.entries(meanings)) {
      expect(failureOf(`WARNING: something about a login\nERROR: ${words}\n`).code, words).toBe(code);
    }
    await fake.fail("ERROR: [youtube] x: Video unavailable");
    expect((await failure()).code).toBe("not-found");
  });

  test("does without new options where the program is old, and remembers that", async () => {
    await fake.fail("yt-dlp: error: no such option: --js-runtimes", 2);
    await failure();
    expect(fake.calls().map(({ args }) => args.some((arg) => arg.startsWith("--js-runtimes")))).toEqual([true, false]);
    await fake.fail(undefined);
    await resolve();
    expect(fake.calls()).toHaveLength(3);
  });

  test("each of those that were asked before it was known to be old is asked again", async () => {
    await fake.fail("yt-dlp: error: no such option: --js-runtimes", 2);
    await fake.hold(true);
    const all = Promise.all([failure(), failure(), failure()]);
    await eventually(() => expect(fake.calls()).toHaveLength(3), { timeoutMs: 10_000 });
    await fake.hold(false);
    await all;
    expect(fake.calls()).toHaveLength(6);
  });

  test("runs at most four at once", async () => {
    await fake.hold(true);
    const all = Promise.all(Array.from({ length: 7 }, () => resolve()));
    await eventually(() => expect(fake.calls()).toHaveLength(4), { timeoutMs: 10_000 });
    await fake.hold(false);
    await all;
    expect(fake.calls()).toHaveLength(7);
  });

  test("ends what says too much", async () => {
    await fake.answer("x", "x".repeat(17 * 1024 ** 2));
    expect((await failure("https://site.example/x")).message).toMatch(/too long/);
  });

  test("says in one line how to install it, and which options there are", async () => {
    const said = (spec: string): Promise<string> => openSource(spec).then(String, String);
    vi.stubEnv("PATH", "/nowhere");
    expect(await said("yt-dlp")).toMatch(/yt-dlp is not installed; install it: [^\n]+$/);
    vi.unstubAllEnvs();
    expect(await said("yt-dlp?path=/nowhere/yt-dlp")).toMatch(/no program .* install it/);
    expect(await said(`yt-dlp?${fake.query}&quality=best`)).toMatch(/quality is one of/);
    expect(await said(`yt-dlp?${fake.query}&exec=x`)).toMatch(/no option "exec"/);
  });
});

describe("the guard of yt-dlp's requests", () => {
  let up: Upstream;
  beforeEach(async () => {
    up = await startUpstream();
    up.resource("song", { size: 1000 });
  });
  afterEach(() => up.close());

  async function through(guard: Guard, url: string, password = new URL(guard.url).password): Promise<number> {
    const { port } = new URL(guard.url);
    const headers = { "proxy-authorization": `Basic ${btoa(`afterbay:${password}`)}` };
    const sent = ask({ port, host: "127.0.0.1", path: url, headers }).end();
    const [answer] = (await once(sent, "response")) as [IncomingMessage];
    const bytes = await answer.toArray();
    return answer.statusCode === 200 ? Buffer.concat(bytes as Buffer[]).length : (answer.statusCode ?? 0);
  }

  async function tunnel(guard: Guard, target: string): Promise<string> {
    const { port, username, password } = new URL(guard.url);
    const socket = connect(Number(port), "127.0.0.1");
    const secret = btoa(`${username}:${password}`);
    socket.write(`CONNECT ${target} HTTP/1.1\r\nhost: ${target}\r\nproxy-authorization: Basic ${secret}\r\n\r\n`);
    const [line] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return line.toString().split("\r\n")[0] ?? "";
  }

  test("leads to private addresses only where that is allowed, and never to link-local ones", async () => {
    for (const allowPrivate of [false, true]) {
      const guard = await Guard.start({ allowPrivate });
      const { host } = new URL(up.origin);
      expect(await through(guard, `${up.origin}/song`)).toBe(allowPrivate ? 1000 : 403);
      expect(await tunnel(guard, host)).toMatch(allowPrivate ? / 200 / : / 403 Afterbay lets nobody there$/);
      expect(await through(guard, "http://169.254.169.254/latest/")).toBe(403);
      expect(await tunnel(guard, "169.254.169.254:443")).toMatch(/ 403 /);
      await guard.close();
    }
    expect(up.requests("song")).toHaveLength(1);
  });

  test("survives answers that cannot be handed on", async () => {
    const odd = [
      "HTTP/1.1 999 x\u0001y",
      "HTTP/1.1 001 OK",
      "nonsense",
      "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz",
    ];
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(`${odd.shift()}\r\nx: \u0080\r\n\r\n`, "latin1"));
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const guard = await Guard.start({ allowPrivate: true });
    while (odd.length > 0) {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
      await through(guard, url).catch((error: unknown) => expect(error).toBeInstanceOf(Error));
    }
    expect(await through(guard, `${up.origin}/song`)).toBe(1000);
    await guard.close();
    server.close();
  });

  test("lets nobody through without its password, and fails as the upstream does", async () => {
    const guard = await Guard.start({ allowPrivate: true });
    expect(await through(guard, `${up.origin}/song`, "0".repeat(48))).toBe(407);
    expect(await through(guard, "/song")).toBe(400);
    expect(await through(guard, "http://127.0.0.1:1/")).toBe(502);
    expect(await tunnel(guard, "127.0.0.1:1")).toMatch(/ 502 /);
    await guard.close();
  });
});

describe("what yt-dlp names, through the proxy", () => {
  let fake: FakeYtDlp;
  let rig: Rig;
  beforeEach(async () => {
    fake = await startFakeYtDlp();
  });
  afterEach(async () => {
    await rig.close();
    await fake.close();
  });
  const start = async (options = {}): Promise<void> => {
    const resolver = await createYtDlp(fake.query);
    rig = await startRig({ sources: [{ key: "yt-dlp", resolver }], allowPrivate: true, ...options });
    rig.up.resource("song", { size: 300_000 });
  };
  const path = encodeURIComponent("https://site.example/song");

  test("plays exactly, with its headers, and tells no secret", async () => {
    await start();
    await fake.answer(
      "song",
      video("song", { url: `${rig.up.origin}/song?key=${SECRET}`, filesize: null, cookies: "a=b" }),
    );
    const got = await rig.get(path);
    expect(Buffer.from(got.body).equals(rig.up.bytes("song"))).toBe(true);
    for (const { headers } of rig.up.requests("song")) {
      expect(headers).toMatchObject({ "user-agent": "A browser", cookie: "a=b" });
    }
    const shown = JSON.stringify([await rig.json("/api/sessions"), await rig.json("/api/tracks"), rig.log]);
    expect(shown).not.toContain(SECRET);
    expect(shown).toContain("A song");
  });

  test("C9: a slow run is a typed error in time, goes on, and serves whoever comes back", async () => {
    await start({ firstByteMs: 300 });
    await fake.answer("song", video("song", { url: `${rig.up.origin}/song`, filesize: null }));
    await fake.hold(true);
    const early = await rig.get(path);
    expect([early.status, Buffer.from(early.body).toString()]).toEqual([
      504,
      expect.stringContaining("upstream-timeout"),
    ]);
    await fake.hold(false);
    const late = await eventually(
      async () => {
        const got = await rig.get(path);
        expect(got.status).toBe(200);
        return got;
      },
      { timeoutMs: 10_000 },
    );
    expect(Buffer.from(late.body).equals(rig.up.bytes("song"))).toBe(true);
    expect(fake.calls()).toHaveLength(1);
  });

  test("a failure is one run and one problem", async () => {
    await start();
    await fake.fail("ERROR: [x] y: This video is DRM protected");
    const got = await rig.get(path);
    expect([got.status, Buffer.from(got.body).toString()]).toEqual([410, expect.stringContaining("DRM")]);
    expect(fake.calls()).toHaveLength(1);
  });
});
