import { afterEach, beforeEach, expect, test } from "vitest";
import { createChain } from "../../src/resolvers/chain/chain.ts";
import { createYouTube } from "../../src/resolvers/youtube/youtube.ts";
import { createYtDlp } from "../../src/resolvers/yt-dlp/yt-dlp.ts";
import { assertBytes } from "../helpers/assert-bytes.ts";
import { type FakeYouTube, startFakeYouTube } from "../helpers/innertube/fake.ts";
import { type ClientView, usualFormats } from "../helpers/innertube/video.ts";
import { eventually } from "../helpers/process.ts";
import { type Rig, startRig } from "../helpers/rig.ts";
import { type FakeYtDlp, startFakeYtDlp, video } from "../resolvers/yt-dlp/fake.ts";

const ID = "dQw4w9WgXcQ";
const MINUTE = 960_000;

let yt: FakeYouTube;
let ytDlp: FakeYtDlp;
let rig: Rig;
beforeEach(async () => {
  yt = await startFakeYouTube();
  ytDlp = await startFakeYtDlp();
});
afterEach(async () => {
  await rig.close();
  await yt.close();
  await ytDlp.close();
});

/** YouTube's own clients are told so; yt-dlp finds the format 251 elsewhere, encoded at `lmt`. */
async function start(clients: ClientView, lmt = "1700000000000251"): Promise<void> {
  const formats = usualFormats();
  yt.video(ID, { formats, clients: { "*": clients } });
  const links = [
    { key: "youtube", resolver: await createYouTube(`base=${yt.origin}`) },
    { key: "yt-dlp", resolver: await createYtDlp(ytDlp.query) },
  ];
  const resolver = createChain(links);
  rig = await startRig({ sources: [{ key: "music", resolver }], allowPrivate: true, firstByteMs: 15_000 });
  const content = yt.bytes(ID, 251);
  rig.up.resource("song", { content });
  const url = `${rig.up.origin}/song?itag=251&lmt=${lmt}&clen=${content.length}`;
  await ytDlp.answer(ID, video(ID, { url, formats: [] }));
}

test("yt-dlp goes on where YouTube gives the first minute alone, with the same bytes", async () => {
  await start({ urls: { upTo: MINUTE } });
  const got = await rig.get(ID);
  expect([got.status, got.complete]).toEqual([200, true]);
  assertBytes(got.body, yt.bytes(ID, 251));
  expect(rig.up.bytesSent("song")).toBeGreaterThan(yt.bytes(ID, 251).length - 2 * MINUTE);
  expect(ytDlp.calls()).toHaveLength(1);
  const variant = `googlevideo/251-1700000000000251-${got.body.length}`;
  await eventually(
    async () => expect(await rig.json(`/api/tracks/music/${ID}`)).toMatchObject({ variant, complete: true }),
    { timeoutMs: 10_000 },
  );
});

test("bytes that were encoded at another time begin anew", async () => {
  await start({ urls: { upTo: MINUTE } }, "1800000000000251");
  const cut = await rig.get(ID);
  expect(cut.complete).toBe(false);
  assertBytes(cut.body, yt.bytes(ID, 251).subarray(0, cut.body.length));
  const resumed = await rig.get(ID, { headers: { range: `bytes=${cut.body.length}-` } });
  expect(resumed.status).toBe(410);
  const anew = await rig.get(ID);
  expect([anew.status, anew.complete]).toEqual([200, true]);
  assertBytes(anew.body, rig.up.bytes("song"));
});

test("a network that YouTube takes for a robot plays by yt-dlp, and YouTube is left alone for a while", async () => {
  await start({ http: { status: 429 } });
  const got = await rig.get(ID);
  assertBytes(got.body, rig.up.bytes("song"));
  await ytDlp.answer("another-one", video("another-one", { url: `${rig.up.origin}/song?another`, formats: [] }));
  expect((await rig.get("another-one")).status).toBe(200);
  expect(yt.calls).toHaveLength(1);
});
