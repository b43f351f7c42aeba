import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeLibrary, type TestLibrary, wav } from "./library.ts";
import { MEASURED } from "../../helpers/measured.ts";

const FILES = 10_000;
const FOLDERS = 500;

let library: TestLibrary;
beforeAll(async () => {
  library = await makeLibrary();
  for (let folder = 0; folder < FOLDERS; folder += 1) {
    const path = join(library.path, `artist ${folder % 50}`, `album ${folder}`);
    mkdirSync(path, { recursive: true });
    for (let track = 0; track < FILES / FOLDERS; track += 1) {
      writeFileSync(join(path, `${track}.wav`), wav({ title: `Track ${folder}-${track}` }));
    }
  }
});
afterAll(() => library.close());

// Again, if the machine was busy with something else.
it("lists 10,000 files within 2 s, and reads their tags without standing in the way", MEASURED, async () => {
  const began = performance.now();
  const folder = await library.open();
  const tracks = await folder.list();
  const ms = performance.now() - began;
  expect(tracks).toHaveLength(FILES);
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const tagged = async (): Promise<number> =>
    (await folder.list()).filter(({ durationMs }) => durationMs === 100).length;
  await expect.poll(tagged, { timeout: 15_000, interval: 100 }).toBeGreaterThan(100);
  delay.disable();
  const again = performance.now();
  await folder.list();
  console.log(
    `${FILES} files listed in ${ms.toFixed(0)} ms, again in ${(performance.now() - again).toFixed(1)} ms; ` +
      `while tags are read the event loop waits ${(delay.percentile(99) / 1e6).toFixed(1)} ms (99 %), at most ${(delay.max / 1e6).toFixed(1)} ms`,
  );
  // Twice the promise: other tests run beside this one.
  expect(ms).toBeLessThan(4000);
});
