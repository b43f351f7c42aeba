import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** Signs paths with a key that lives as long as the process. */
export class Signer {
  readonly #key = randomBytes(32);
  readonly #now: () => number;

  /** @param now epoch milliseconds */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The path with a query that grants access until `expiresAt` (epoch milliseconds). */
  sign(path: string, expiresAt: number): string {
    return `${path}?expires=${expiresAt}&signature=${this.#signature(path, String(expiresAt))}`;
  }

  /** True if the URL carries a signature of its path that has not expired. */
  verify(url: URL): boolean {
    const expires = url.searchParams.get("expires") ?? "";
    const expected = Buffer.from(this.#signature(url.pathname, expires));
    const given = Buffer.from(url.searchParams.get("signature") ?? "");
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return false;
    return this.#now() < Number(expires);
  }

  #signature(path: string, expires: string): string {
    return createHmac("sha256", this.#key).update(`${path}\n${expires}`).digest("hex");
  }
}
