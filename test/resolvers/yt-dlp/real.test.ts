import { afterEach, expect, test } from "vitest";
import { createYtDlp } from "../../../src/resolvers/yt-dlp/yt-dlp.ts";
import { type Rig, startRig } from "../../helpers/rig.ts";
import { describeWith } from "../../players/programs.ts";

// A cold start of Python on a busy machine takes its time.
const PATIENCE_MS = 60_000;

describeWith(["yt-dlp"], "the real yt-dlp", () => {
  let rig: Rig;
  afterEach(() => rig.close());

  test(
    "its generic extractor plays a file of this machine where private addresses are allowed, and nowhere else",
    async () => {
      const free = await createYtDlp("", { allowPrivate: true, timeoutMs: PATIENCE_MS });
      const strict = await createYtDlp("", { timeoutMs: PATIENCE_MS });
      rig = await startRig({
        sources: [
          { key: "free", resolver: free },
          { key: "strict", resolver: strict },
        ],
        allowPrivate: true,
        firstByteMs: 30_000,
      });
      rig.up.resource("song.mp3", { size: 700_000, contentType: "audio/mpeg" });
      const path = (name: string): string => encodeURIComponent(`${rig.up.origin}/${name}`);
      const [song, none, refused] = await Promise.all([
        rig.get(`free/${path("song.mp3")}`),
        rig.get(`free/${path("none.mp3")}`),
        rig.get(`strict/${path("song.mp3")}`),
      ]);
      expect([song.status, song.headers["content-type"]]).toEqual([200, "audio/mpeg"]);
      expect(Buffer.from(song.body).equals(rig.up.bytes("song.mp3"))).toBe(true);
      expect(rig.up.requests("song.mp3").at(-1)?.headers["user-agent"]).toMatch(/^Mozilla/);
      expect(none.status).toBe(404);
      expect([refused.status, Buffer.from(refused.body).toString()]).toEqual([
        502,
        expect.stringContaining("--allow-private"),
      ]);
    },
    PATIENCE_MS,
  );
});
