import { expect, it } from "vitest";
import { start } from "./fake-io.ts";

const owned = async (argv: readonly string[], env: Record<string, string> = {}) => {
  const program = start({ argv: [...argv, "--cache-dir", "/nowhere/afterbay"], env });
  await program.code;
  return program.owned[0];
};

it("a command spares what is kept beyond its budget, unless it was given one", async () => {
  expect(await owned(["prefetch", "yaman"])).toMatchObject({ sparing: true, cacheSize: 2 * 1024 ** 3 });
  expect(await owned(["prefetch", "yaman", "--cache-size", "1G"])).toMatchObject({ sparing: false });
  expect(await owned(["cache", "import", "/x"], { AFTERBAY_CACHE_SIZE: "1G" })).toMatchObject({ sparing: false });
});
