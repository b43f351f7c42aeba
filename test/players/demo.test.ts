import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createProxy } from "../../src/proxy.ts";
import { createDemo } from "../../src/resolvers/demo/demo.ts";
import { validateResolution } from "../../src/resolvers/validate-resolution.ts";
import { tmpDir } from "../helpers/process.ts";
import { describeWith, succeed } from "./programs.ts";

describeWith(["mpv"], "the demo source in mpv", () => {
  test("plays from the start and from a seek, exactly as its own origin sends it", async () => {
    const dir = await tmpDir();
    const resolver = await createDemo();
    const quiet = (): void => {};
    const proxy = await createProxy({
      sources: [{ key: "demo", resolver }],
      cacheDir: join(dir.path, "cache"),
      cacheSize: 1024 ** 3,
      validate: validateResolution,
      version: "0.0.0",
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
    });
    await proxy.listen();
    const play = async (url: string, ...args: string[]): Promise<Buffer> => {
      const file = join(dir.path, "out.wav");
      const output = ["--ao=pcm", `--ao-pcm-file=${file}`];
      await succeed("mpv", ["--no-config", "--no-video", "--really-quiet", ...output, ...args, url]);
      return await readFile(file);
    };
    try {
      const { signal } = new AbortController();
      const { url } = await resolver.resolve("yaman", { signal, attempt: 1, reason: "first" });
      for (const part of [["--length=2"], ["--start=65", "--length=2"]]) {
        const expected = await play(url, ...part);
        expect(expected.length).toBeGreaterThan(2 * 44_100 * 4 * 0.9);
        expect((await play(proxy.urlFor("yaman"), ...part)).equals(expected)).toBe(true);
      }
    } finally {
      await proxy.close();
      await dir.remove();
    }
  });
});
