import { join, resolve } from "node:path";

/** Where the owner of a cache directory listens. */
export function ownerSocketPath(cacheDir: string): string {
  return join(resolve(cacheDir), "v1", "owner.sock");
}
