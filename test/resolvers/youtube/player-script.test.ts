import { describe, expect, it } from "vitest";
import { usualFormats } from "../../helpers/innertube/video.ts";
import { clientOf, forAll, ID, refused, startWorld, type World } from "./world.ts";

const SIGNED = { ciphered: true, throttled: true };

/** What googlevideo answers to the first bytes of a resolution's URL. */
async function statusOf(world: World, about = {}): Promise<number> {
  const { url } = await world.resolve(ID, about);
  const response = await fetch(url, { headers: { range: "bytes=0-99" } });
  await response.arrayBuffer();
  return response.status;
}

describe("the player script", () => {
  it("is not fetched where no format needs it", async () => {
    const world = await startWorld();
    await world.resolve();
    expect(world.yt.scripts).toEqual([]);
  });

  it.each([
    ["signatures", { ciphered: true }],
    ["n", { throttled: true }],
    ["both", SIGNED],
  ])("makes URLs that googlevideo takes: %s", async (_what, view) => {
    const world = await startWorld(forAll(view));
    expect(await statusOf(world)).toBe(206);
    expect(world.yt.scripts).toHaveLength(2);
    // Signatures are for the script that was named: the client is asked again once it is known.
    expect(world.yt.calls.map(({ signatureTimestamp }) => signatureTimestamp)).toEqual([undefined, 20_400]);
  });

  it("is fetched once for all tracks that need it, and named at once afterwards", async () => {
    const world = await startWorld(forAll(SIGNED));
    const ids = Array.from({ length: 5 }, (_, n) => `signed-00-${n}`);
    for (const id of ids) world.yt.video(id, { formats: usualFormats(), ...forAll(SIGNED) });
    await Promise.all(ids.map((id) => world.resolve(id)));
    expect(world.yt.scripts).toHaveLength(2);
    world.asked();
    await world.resolve();
    expect(world.yt.calls).toMatchObject([{ signatureTimestamp: 20_400 }]);
    expect(world.yt.scripts).toHaveLength(2);
  });

  it("goes on being fetched when the track that needed it first is left", async () => {
    const world = await startWorld(forAll(SIGNED));
    const abort = new AbortController();
    const left = world.resolve(ID, { signal: abort.signal });
    left.catch(() => {});
    abort.abort(new Error("gone"));
    await expect(left).rejects.toThrow("gone");
    expect(await statusOf(world)).toBe(206);
  });

  it("is fetched anew, once within a need, when what it made is refused", async () => {
    const world = await startWorld(forAll(SIGNED), "&clients=TV");
    expect(await statusOf(world)).toBe(206);
    world.yt.nextScript();
    world.time += 60_000;
    // The first answer is kept for a minute, and over by now.
    expect(await statusOf(world)).toBe(403);
    expect(await statusOf(world, refused(2))).toBe(206);
    expect(world.yt.scripts).toHaveLength(4);
    expect(await statusOf(world, refused(3))).toBe(206);
    expect(world.yt.scripts).toHaveLength(4);
  });

  it("is not fetched anew by many tracks that are refused together", async () => {
    const world = await startWorld(forAll(SIGNED), "&clients=TV");
    const ids = Array.from({ length: 5 }, (_, n) => `signed-00-${n}`);
    for (const id of ids) world.yt.video(id, { formats: usualFormats(), ...forAll(SIGNED) });
    await Promise.all(ids.map((id) => world.resolve(id)));
    world.time += 60_000;
    await Promise.all(ids.map((id) => world.resolve(id, refused(2))));
    expect(world.yt.scripts).toHaveLength(4);
  });

  it("is not fetched anew for a URL that it did not make", async () => {
    const world = await startWorld({ clients: { TVHTML5: SIGNED } });
    await world.resolve();
    await world.resolve(ID, refused(2));
    world.time += 60_000;
    expect(clientOf(await world.resolve(ID, refused(3)))).toBe("WEB_EMBEDDED_PLAYER");
    await world.resolve(ID, refused(2));
    expect(world.yt.scripts).toHaveLength(2);
  });

  it("names the version of the client that the spec names", async () => {
    const world = await startWorld(forAll(SIGNED), "&clients=TV@9.1");
    expect(new URL((await world.resolve()).url).searchParams.get("cver")).toBe("9.1");
  });
});

describe("a player script that is of no use", () => {
  it.each([
    ["has another form", { status: 200, body: "var a=1;" }],
    ["is no JavaScript", { status: 200, body: "}{ <html>" }],
    ["is refused", { status: 403, body: "SECRET" }],
  ])("is an error that says so, and is not asked for again for half a minute: it %s", async (_what, answer) => {
    const world = await startWorld(forAll(SIGNED), "&clients=TV");
    world.yt.scriptAnswer = answer;
    const error = await world.failure();
    expect(error).toMatchObject({ code: "upstream-failed" });
    expect(error.message).toMatch(/player script cannot be read: update youtubei.js|403/);
    const { length } = world.yt.scripts;
    world.time += 29_000;
    await world.failure();
    expect(world.yt.scripts).toHaveLength(length);
    world.yt.scriptAnswer = undefined;
    world.time += 1000;
    expect(await statusOf(world)).toBe(206);
  });

  it("leaves a URL whose n it should have changed as it is: slow, and only where no other client has the track", async () => {
    const world = await startWorld(forAll({ throttled: true }), "&clients=TV", { fake: { wrongN: "paced" } });
    world.yt.scriptAnswer = { status: 404, body: "" };
    expect(await statusOf(world)).toBe(206);
    const other = await startWorld({ clients: { TVHTML5: { throttled: true } } }, "&clients=TV,VISIONOS");
    other.yt.scriptAnswer = { status: 404, body: "" };
    expect(clientOf(await other.resolve())).toBe("VISIONOS");
  });

  it.each([
    ["throws", 'throw Error("SECRET")'],
    ["wants what it cannot have", "return process.env.HOME"],
  ])("gives way to the next client: it %s", async (_what, body) => {
    const world = await startWorld({ clients: { TVHTML5: SIGNED } }, "&clients=TV,VISIONOS");
    const source = world.yt.script.source.replace("a=a.split", `${body};a=a.split`);
    world.yt.script = { ...world.yt.script, source };
    expect(clientOf(await world.resolve())).toBe("VISIONOS");
  });
});
