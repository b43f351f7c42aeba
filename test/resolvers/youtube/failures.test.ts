import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { problemOf } from "../../../src/http/problem.ts";
import type { ClientView } from "../../helpers/innertube/video.ts";
import { usualFormats } from "../../helpers/innertube/video.ts";
import { clientOf, first, forAll, ID, startWorld } from "./world.ts";

const page = "<!doctype html><title>Before you continue</title>SECRET-IN-ANSWER";
const captcha = "<html>Our systems have detected unusual traffic. <form id='captcha-form'></html>";

/** One client is asked where all would say the same, else every one once: never more. */
const cases: readonly [string, ClientView, { code: string; says: RegExp; asked: number; status: number }][] = [
  [
    "an unknown id",
    { playability: { status: "ERROR", reason: "Video unavailable" } },
    { code: "not-found", says: /no such video/, asked: 1, status: 404 },
  ],
  [
    "a removed video",
    { playability: { status: "ERROR", reason: "This video has been removed by the uploader" } },
    { code: "unplayable", says: /was removed/, asked: 1, status: 410 },
  ],
  [
    "a private video",
    {
      playability: {
        status: "LOGIN_REQUIRED",
        reason: "Private video",
        subreason: "Sign in if you've been granted access",
      },
    },
    { code: "unplayable", says: /private/, asked: 1, status: 410 },
  ],
  [
    "another country's video",
    {
      playability: {
        status: "UNPLAYABLE",
        reason: "Video unavailable",
        subreason: "The uploader has not made this video available in your country",
      },
    },
    { code: "unplayable", says: /country/, asked: 1, status: 410 },
  ],
  [
    "a video for members",
    { playability: { status: "UNPLAYABLE", reason: "Join this channel to get access to members-only content" } },
    { code: "unplayable", says: /members/, asked: 1, status: 410 },
  ],
  [
    "a video to be paid for",
    { playability: { status: "UNPLAYABLE", reason: "This video requires payment to watch" } },
    { code: "unplayable", says: /paid/, asked: 1, status: 410 },
  ],
  [
    "a premiere",
    { playability: { status: "LIVE_STREAM_OFFLINE", reason: "Premieres in 3 hours" } },
    { code: "unplayable", says: /live stream, or has not begun/, asked: 1, status: 410 },
  ],
  ["a live stream", { live: true }, { code: "unplayable", says: /live stream/, asked: 1, status: 410 }],
  [
    "a video for adults",
    { playability: { status: "LOGIN_REQUIRED", reason: "Sign in to confirm your age" } },
    { code: "unplayable", says: /adults.*login/, asked: 3, status: 410 },
  ],
  [
    "a video for adults, by its status",
    { playability: { status: "AGE_VERIFICATION_REQUIRED", reason: "Please verify" } },
    { code: "unplayable", says: /adults/, asked: 3, status: 410 },
  ],
  [
    "a login",
    { playability: { status: "LOGIN_REQUIRED", reason: "Please sign in https://x.example/?t=SECRET-IN-ANSWER" } },
    { code: "unplayable", says: /wants a login.*Please sign in \(address removed\)/, asked: 3, status: 410 },
  ],
  [
    "a robot check",
    { playability: { status: "LOGIN_REQUIRED", reason: "Sign in to confirm you're not a bot" } },
    { code: "busy", says: /robot: wait.*another network/, asked: 3, status: 503 },
  ],
  [
    "a client that was given up",
    { playability: { status: "ERROR", reason: "YouTube is no longer supported in this application or device" } },
    { code: "unplayable", says: /another app/, asked: 3, status: 410 },
  ],
  [
    "a video that YouTube just does not play",
    { playability: { status: "UNPLAYABLE", reason: "Video unavailable" } },
    { code: "unplayable", says: /does not let this video play \(Video unavailable\)/, asked: 3, status: 410 },
  ],
  [
    "DRM",
    { formats: usualFormats().map((format) => ({ ...format, drm: true })) },
    { code: "unplayable", says: /DRM/, asked: 3, status: 410 },
  ],
  ["SABR alone", { sabrOnly: true }, { code: "unplayable", says: /SABR.*youtube\?clients=/, asked: 3, status: 410 }],
  ["no sound", { formats: [] }, { code: "unplayable", says: /no sound/, asked: 3, status: 410 }],
  [
    "another video's answer",
    { answersFor: "aaaaaaaaaaa" },
    { code: "upstream-failed", says: /another video/, asked: 3, status: 502 },
  ],
  [
    "a limit",
    {
      http: {
        status: 429,
        body: captcha.replace("captcha", "x").replace("unusual traffic", "x"),
        headers: { "retry-after": "7" },
      },
    },
    { code: "busy", says: /429.*wait/, asked: 1, status: 503 },
  ],
  [
    "a captcha",
    { http: { status: 429, body: captcha } },
    { code: "busy", says: /captcha.*browser/, asked: 1, status: 503 },
  ],
  [
    "the way to a captcha",
    { http: { status: 302, headers: { location: "https://www.google.com/sorry/index?continue=SECRET-IN-ANSWER" } } },
    { code: "busy", says: /captcha/, asked: 1, status: 503 },
  ],
  [
    "a page",
    { http: { status: 200, body: page } },
    { code: "upstream-failed", says: /web page/, asked: 3, status: 502 },
  ],
  [
    "a redirect",
    { http: { status: 302, headers: { location: "https://consent.youtube.com/?x=SECRET-IN-ANSWER" } } },
    { code: "upstream-failed", says: /consent page/, asked: 3, status: 502 },
  ],
  [
    "no JSON",
    { http: { status: 200, body: "SECRET-IN-ANSWER", headers: { "content-type": "application/json" } } },
    { code: "upstream-failed", says: /not JSON/, asked: 3, status: 502 },
  ],
  [
    "JSON that is no answer",
    { http: { status: 200, body: '{"streamingData":7,"videoDetails":"SECRET-IN-ANSWER"}' } },
    { code: "upstream-failed", says: /cannot be understood/, asked: 3, status: 502 },
  ],
  [
    "refused clients",
    { http: { status: 400, body: '{"error":{"message":"SECRET-IN-ANSWER"}}' } },
    { code: "upstream-failed", says: /400.*newer versions/, asked: 3, status: 502 },
  ],
  ["a failing server", { http: { status: 503 } }, { code: "transient", says: /503/, asked: 1, status: 502 }],
];

describe("is one typed error that says what to do, after a counted number of requests:", () => {
  it.each(cases)("%s", async (_what, view, { code, says, asked, status }) => {
    const world = await startWorld(forAll(view));
    const error = await world.failure();
    expect(error).toMatchObject({ code, message: expect.stringMatching(says) });
    expect(world.asked()).toHaveLength(asked);
    const problem = problemOf(error);
    expect(problem.status).toBe(status);
    // What clients are shown is these words, not those of any failure.
    if (code !== "transient") expect(problem.body).toContain(JSON.stringify(error.message).slice(1, 60));
    for (const secret of world.yt.secrets) expect(inspect(error, { depth: 9 })).not.toContain(secret);
  });

  it("leaves other tracks alone", async () => {
    const world = await startWorld(forAll({ http: { status: 429 } }));
    world.yt.video("aaaaaaaaaaa", { formats: usualFormats() });
    const [bad, good] = await Promise.all([world.failure(), world.resolve("aaaaaaaaaaa")]);
    expect([bad.code, clientOf(good)]).toEqual(["busy", "VISIONOS"]);
    expect(world.asked()).toHaveLength(2);
  });

  it.each([
    ["a limit", { http: { status: 429, headers: { "retry-after": "7" } } }, 7000],
    ["a limit without a time", { http: { status: 429 } }, 60_000],
    ["a captcha", { http: { status: 403, body: captcha } }, 60_000],
    ["a robot check", { playability: { status: "LOGIN_REQUIRED", reason: "confirm you’re not a bot" } }, 300_000],
  ] as const)("does not ask again for a track before %s allows it", async (_what, view, waitMs) => {
    const world = await startWorld(forAll(view));
    expect((await world.failure()).retryAfterMs).toBe(waitMs);
    const { length } = world.asked();
    world.time += waitMs - 1000;
    expect(await world.failure()).toMatchObject({ code: "busy", retryAfterMs: 1000 });
    expect(world.asked()).toEqual([]);
    world.time += 1000;
    await world.failure();
    expect(world.asked()).toHaveLength(length);
  });
});

describe("a client that may not play a track", () => {
  it.each([
    ["SABR alone", { sabrOnly: true }],
    ["DRM", { formats: usualFormats().map((format) => ({ ...format, drm: true })) }],
    ["an age check", { playability: { status: "LOGIN_REQUIRED", reason: "Sign in to confirm your age" } }],
    ["a robot check", { playability: { status: "LOGIN_REQUIRED", reason: "Sign in to confirm you're not a bot" } }],
    ["another video's answer", { answersFor: "aaaaaaaaaaa" }],
    ["a page", { http: { status: 200, body: page } }],
    ["400", { http: { status: 400 } }],
  ] as const)("is followed by one that may: %s", async (_what, view) => {
    const world = await startWorld({ clients: { VISIONOS: view } });
    expect(clientOf(await world.resolve())).toBe("TVHTML5");
    expect(world.asked()).toEqual(["VISIONOS", "TVHTML5"]);
  });

  it("that asks for time is given it", async () => {
    const world = await startWorld(forAll({ http: { status: 503, headers: { "retry-after": "3" } } }));
    expect(await world.failure()).toMatchObject({ code: "transient", retryAfterMs: 3000 });
  });

  it("that fails is followed by the next one with the next try", async () => {
    const world = await startWorld({ clients: { VISIONOS: { http: { status: 500 } } } });
    expect(await world.failure()).toMatchObject({ code: "transient", status: 500 });
    expect(clientOf(await world.resolve())).toBe("TVHTML5");
  });

  it("that plays some formats only is taken for those", async () => {
    const [aac, ...opus] = usualFormats();
    const formats = [...(aac ? [aac] : []), ...opus.map((format) => ({ ...format, drm: true }))];
    const world = await startWorld({ clients: { VISIONOS: { formats } } });
    expect((await world.resolve()).variant).toMatch(/^140-/);
  });
});

describe("the connection", () => {
  it("that hangs is given up in time", async () => {
    const world = await startWorld(forAll({ hangs: true }), "", { limits: { timeoutMs: 100 } });
    expect(await world.failure()).toMatchObject({ code: "stalled", message: "YouTube did not answer in time" });
    expect(world.asked()).toHaveLength(1);
  });

  it("that cannot be made is a failure that may pass", async () => {
    const world = await startWorld();
    await world.yt.close();
    expect(await world.failure()).toMatchObject({ code: "transient" });
  });

  it("is not made to a link-local address, whatever the base says", async () => {
    const { createYouTube } = await import("../../../src/resolvers/youtube/youtube.ts");
    const resolver = await createYouTube("base=http://169.254.169.254");
    await expect(resolver.resolve(ID, first())).rejects.toMatchObject({
      code: "upstream-failed",
      message: expect.stringContaining("may not be connected to"),
    });
    await resolver.close?.();
  });
});
