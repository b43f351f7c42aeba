import { describe, expect, it } from "vitest";
import { validateResolution } from "../../../src/resolvers/validate-resolution.ts";
import { usualFormats, variantOf, type FakeFormat } from "../../helpers/innertube/video.ts";
import { clientOf, forAll, ID, itagOf, refused, startWorld } from "./world.ts";

const MiB = 1024 * 1024;
const VISIONOS = "VISIONOS";
const TV = "TVHTML5";
const WEB = "WEB_EMBEDDED_PLAYER";
/** The same song, encoded anew. */
const others: readonly FakeFormat[] = usualFormats().map((format) => ({ ...format, lmt: `18${format.itag}` }));
const [best = ""] = usualFormats()
  .filter(({ itag }) => itag === 251)
  .map(variantOf);

describe("a resolution", () => {
  it("says all that YouTube says of the track", async () => {
    const world = await startWorld({ title: "Song", author: "The Band - Topic", seconds: 200 });
    const resolution = await world.resolve();
    const { url, expiresAt, ...rest } = resolution;
    expect(validateResolution(resolution)).toEqual(resolution);
    expect(rest).toEqual({
      id: ID,
      variant: best,
      contentType: 'audio/webm; codecs="opus"',
      contentLength: 3_200_000,
      maxWindow: MiB,
      headers: { "user-agent": expect.stringContaining("Safari") },
      title: "Song",
      artist: "The Band",
      durationMs: 200_021,
      artwork: `https://i.ytimg.com/vi/${ID}/hqdefault.jpg`,
      loudnessDb: -3.5,
    });
    expect(new URL(url).searchParams.get("expire")).toBe(String((expiresAt ?? 0) / 1000));
    expect(world.resolver).toMatchObject({ maxWindow: MiB, hosts: [new URL(world.yt.origin).host] });
    expect(world.yt.strange).toEqual([]);
  });

  it("takes artists and album from the description that YouTube writes for labels, and from no other", async () => {
    const description =
      "Provided to YouTube by A Label\n\nSong · Ann · Ben\n\nThe Album\n\n℗ 2020 A Label\n\nReleased on: 2020";
    const label = await startWorld({ description, loudnessDb: -9 });
    expect(await label.resolve(ID, { quality: "low" })).toMatchObject({
      artist: "Ann, Ben",
      album: "The Album",
      loudnessDb: -9,
    });
    const own = await startWorld({ description: "My song\n\nSong · Ann\n\nNot the album", author: "Ann" });
    const resolution = await own.resolve();
    expect(resolution).toMatchObject({ artist: "Ann" });
    expect(resolution).not.toHaveProperty("album");
  });

  it("leaves out a length that YouTube does not tell, and names the bytes by what is left", async () => {
    const formats = [{ itag: 251, size: 100_000, lmt: "17", unsized: true }];
    const resolution = await (await startWorld({ formats })).resolve();
    expect(resolution).toMatchObject({ variant: "251-17" });
    expect(resolution).not.toHaveProperty("contentLength");
  });

  it("names the bytes by their length and time as the URL has them, where the answer leaves them out", async () => {
    const formats = [{ itag: 251, size: 100_000, lmt: "17", terse: true }];
    const [url, cipher] = [await startWorld({ formats }), await startWorld({ formats, ...forAll({ ciphered: true }) })];
    for (const world of [url, cipher]) {
      expect(await world.resolve()).toMatchObject({ variant: "251-17-100000", contentLength: 100_000 });
    }
  });

  it("is of the quality asked for, else of the spec's, else high", async () => {
    const world = await startWorld();
    const itag = async (quality?: "low" | "medium" | "high" | "ultra"): Promise<number> =>
      itagOf(await world.resolve(ID, quality && { quality }));
    expect([await itag("low"), await itag("medium"), await itag("high"), await itag("ultra")]).toEqual([
      140, 251, 251, 140,
    ]);
    expect(await itag()).toBe(251);
    // One answer serves all qualities for a minute.
    expect(world.asked()).toEqual([VISIONOS]);
    world.time += 60_000;
    await itag();
    expect(world.asked()).toEqual([VISIONOS]);
    const low = await startWorld({}, "&quality=low");
    expect(itagOf(await low.resolve())).toBe(140);
    expect(itagOf(await low.resolve(ID, { quality: "high" }))).toBe(251);
  });

  it("of a URL that ends soon is not kept for others", async () => {
    const world = await startWorld(forAll({ urls: { lifetimeMs: 50_000 } }));
    const urls = [await world.resolve(), await world.resolve()].map(({ url }) => url);
    expect(new Set(urls).size).toBe(2);
  });

  it("is of the original track, with its own loudness", async () => {
    const track = (id: string, isDefault: boolean): Pick<FakeFormat, "audioTrack"> => ({
      audioTrack: { id, isDefault },
    });
    const opus = { itag: 251, size: 100_000 };
    const formats = [
      { ...opus, lmt: "1", bitrate: 200_000, ...track("de.3", false) },
      { ...opus, lmt: "2", bitrate: 190_000, drc: true, ...track("en.4", true) },
      { ...opus, lmt: "3", bitrate: 128_000, ...track("en.4", true) },
    ];
    expect((await (await startWorld({ formats })).resolve()).variant).toBe("251-3-100000");
  });

  it("is asked for by a link too, and is then the link's", async () => {
    const world = await startWorld();
    for (const link of [
      `https://music.youtube.com/watch?v=${ID}&si=x`,
      `https://www.youtube.com/watch?list=RD&v=${ID}`,
      `https://youtu.be/${ID}?t=3`,
      `http://m.youtube.com/shorts/${ID}`,
    ]) {
      expect(await world.resolve(link)).toMatchObject({ id: link, variant: best });
    }
  });
});

describe("ids that are none", () => {
  it.each([
    "",
    "short",
    "twelve-chars",
    "dQw4w9WgXc!",
    "../../etc/pa",
    "https://evil.example/watch?v=dQw4w9WgXcQ",
    "https://youtube.com.evil.example/watch?v=dQw4w9WgXcQ",
    "https://evil.example/@www.youtube.com/watch?v=dQw4w9WgXcQ",
    "https://www.youtube.com/playlist?list=PLx",
    "https://www.youtube.com/redirect?q=dQw4w9WgXcQ",
    "https://youtu.be/",
    "https://[::1",
    "ftp://youtu.be/dQw4w9WgXcQ",
  ])("%j: not found, and nobody is asked", async (id) => {
    const world = await startWorld();
    expect(await world.failure(id)).toMatchObject({ code: "not-found" });
    expect(world.asked()).toEqual([]);
  });
});

describe("clients", () => {
  it("are asked in the order of the spec, as the versions it names", async () => {
    const clients = { "*": { sabrOnly: true }, iOS: {} };
    const world = await startWorld({ clients }, "&clients=tv@9.1,IOS@21.7.1");
    expect(clientOf(await world.resolve())).toBe("iOS");
    expect(world.yt.calls).toMatchObject([
      { client: TV, version: "9.1" },
      // The user agent names the version as well.
      { client: "iOS", version: "21.7.1", userAgent: expect.stringContaining("youtube/21.7.1") },
    ]);
    expect(world.yt.strange).toEqual([]);
  });

  it("are those of November 2026 where the spec names none", async () => {
    const world = await startWorld({ clients: { "*": { sabrOnly: true } } });
    await world.failure();
    expect(world.asked()).toEqual([VISIONOS, TV, WEB]);
  });

  it("know one visitor, as long as the source is open", async () => {
    const world = await startWorld({ clients: { "*": { sabrOnly: true } } });
    await Promise.all([world.failure(), world.failure("aaaaaaaaaaa")]);
    expect(new Set(world.yt.calls.map(({ visitor }) => visitor)).size).toBe(1);
  });

  it("are not asked further once one may play the track", async () => {
    const world = await startWorld();
    await world.resolve();
    expect(world.asked()).toEqual([VISIONOS]);
  });

  it("follow each other with each attempt", async () => {
    const world = await startWorld();
    const clients = [];
    for (const attempt of [1, 2, 3]) {
      clients.push(clientOf(await world.resolve(ID, attempt === 1 ? {} : refused(attempt))));
    }
    expect(clients).toEqual([VISIONOS, TV, WEB]);
    expect(world.asked()).toEqual(clients);
    // Those whose URLs were refused come last for a while, also for the next need.
    expect(clientOf(await world.resolve())).toBe(WEB);
    world.time += 600_000;
    expect(clientOf(await world.resolve())).toBe(VISIONOS);
  });

  it("follow each other with attempts that were begun elsewhere", async () => {
    const world = await startWorld();
    expect(clientOf(await world.resolve(ID, refused(3)))).toBe(WEB);
  });
});

describe("the variant that is held", () => {
  it("is given again when a URL is over, by a new URL of the same client", async () => {
    const world = await startWorld();
    const before = await world.resolve();
    const after = await world.resolve(ID, { reason: "expired", variant: best });
    expect(after).toMatchObject({ variant: best });
    expect(after.url).not.toBe(before.url);
    expect(world.asked()).toEqual([VISIONOS, VISIONOS]);
  });

  it("is looked for among all clients before another is given", async () => {
    const world = await startWorld({ clients: { [TV]: { formats: others } } });
    await world.resolve();
    expect(clientOf(await world.resolve(ID, refused(2, best)))).toBe(WEB);
    expect(world.asked()).toEqual([VISIONOS, TV, WEB]);
  });

  it("is given by the same client again where no other has it, and then given up for another", async () => {
    const world = await startWorld({ clients: { [TV]: { formats: others }, [WEB]: { formats: others } } });
    const before = await world.resolve();
    const again = await world.resolve(ID, refused(2, best));
    expect(again).toMatchObject({ variant: best });
    expect(again.url).not.toBe(before.url);
    const last = await world.resolve(ID, refused(3, best));
    expect(last.variant).not.toBe(best);
    // What the others said a moment ago is not asked again.
    expect(world.asked()).toEqual([VISIONOS, TV, WEB, VISIONOS]);
  });

  it("is found with another client although the first would give another", async () => {
    const world = await startWorld({ clients: { [VISIONOS]: { formats: others } } });
    expect(await world.resolve(ID, { variant: best })).toMatchObject({ variant: best });
    expect(world.asked()).toEqual([VISIONOS, TV]);
  });

  it("is not looked for at the cost of what can be played", async () => {
    const clients = { [TV]: { http: { status: 429 } }, [WEB]: { playability: { status: "ERROR", reason: "Gone" } } };
    const world = await startWorld({ formats: others, clients });
    expect(clientOf(await world.resolve(ID, { variant: best }))).toBe(VISIONOS);
    expect(world.asked()).toEqual([VISIONOS, TV]);
    expect(clientOf(await world.resolve())).toBe(VISIONOS);
  });

  it("is of more weight than the quality", async () => {
    const world = await startWorld();
    expect((await world.resolve(ID, { quality: "low", variant: best })).variant).toBe(best);
  });

  it("that nobody has any more is replaced by what the first client would give", async () => {
    const world = await startWorld();
    const resolution = await world.resolve(ID, { variant: "251-1-1" });
    expect([clientOf(resolution), resolution.variant]).toEqual([VISIONOS, best]);
    expect(world.asked()).toEqual([VISIONOS, TV, WEB]);
  });

  it("belongs to a quality: what one was refused is not held against the other's client", async () => {
    const world = await startWorld();
    await world.resolve(ID, { quality: "high" });
    expect(clientOf(await world.resolve(ID, { quality: "low", ...refused(2) }))).toBe(TV);
    world.time += 1;
    expect(clientOf(await world.resolve(ID, { quality: "high", reason: "expired" }))).toBe(VISIONOS);
  });
});
