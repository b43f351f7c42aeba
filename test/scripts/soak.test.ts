import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

it("a part that does not exist is refused in one line, and nothing runs", () => {
  const script = fileURLToPath(new URL("../../scripts/soak.mjs", import.meta.url));
  const { status, stderr, stdout } = spawnSync(process.execPath, [script, "model", "noise"], { encoding: "utf8" });
  expect([status, stdout]).toEqual([2, ""]);
  expect(stderr).toBe("There is no part noise; there are model, crash, load, fuzz, stress\n");
});
