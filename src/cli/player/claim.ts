import { mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * Makes a directory this process's own: two that write down their queues in one place would take them from each other.
 * Undefined if another process that lives has it. The answer lets it go.
 */
export async function claim(directory: string): Promise<(() => Promise<void>) | undefined> {
  const path = join(directory, "process");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (let round = 0; round < 2; round += 1) {
    try {
      const file = await open(path, "wx", 0o600);
      await file.writeFile(String(process.pid));
      await file.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
      const pid = Number(await readFile(path, "utf8").catch(() => ""));
      if (isAlive(pid)) return undefined;
      // Left behind by one that was killed.
      await rm(path, { force: true });
    }
  }
  return undefined;
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0 || pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
