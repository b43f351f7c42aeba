import { bytesOf, hash32, hex32, type Version } from "./bytes.ts";

export interface ResourceOptions {
  /** Bytes. Default 1 MiB, or the content's length. */
  readonly size?: number;
  /** These bytes instead of pseudo-random ones: a page, a feed, real audio. */
  readonly content?: Uint8Array | string;
  /** The answer is a chunked 200 that names no size, and ranges are ignored. */
  readonly unknownLength?: boolean;
  /** Default `audio/webm`; null for none. */
  readonly contentType?: string | null;
  /** `strong` (default) and `weak` follow the version; `none`; anything else is sent as it is. */
  readonly etag?: "strong" | "weak" | "none" | (string & {});
  /** Default none. */
  readonly lastModified?: string | Date | null;
  /** Another version means other bytes and another ETag. Default 1. */
  readonly version?: Version;
  /** Only URLs that `url(name)` minted are answered. */
  readonly signed?: boolean;
}

export class Resource {
  readonly name: string;
  readonly size: number;
  readonly unknownLength: boolean;
  readonly contentType: string | undefined;
  readonly etag: string | undefined;
  readonly lastModified: string | undefined;
  readonly version: Version;
  readonly signed: boolean;
  readonly #seed: number;
  readonly #content: Uint8Array | undefined;

  constructor(seed: number, name: string, options: ResourceOptions) {
    this.#seed = seed;
    this.name = name;
    this.#content = typeof options.content === "string" ? new TextEncoder().encode(options.content) : options.content;
    this.size = this.#content?.length ?? options.size ?? 1024 * 1024;
    this.unknownLength = options.unknownLength ?? false;
    this.contentType = options.contentType === null ? undefined : (options.contentType ?? "audio/webm");
    this.version = options.version ?? 1;
    this.signed = options.signed ?? false;
    this.etag = this.#etag(options.etag ?? "strong");
    const modified = options.lastModified;
    this.lastModified = modified instanceof Date ? modified.toUTCString() : (modified ?? undefined);
  }

  /** The bytes [start, end) of `version`, past the size too: surplus bytes come from somewhere. */
  bytes(start: number, end: number, version: Version = this.version): Uint8Array {
    if (this.#content && version === this.version) {
      const bytes = new Uint8Array(Math.max(0, end - start));
      bytes.set(this.#content.subarray(start, end));
      return bytes;
    }
    return bytesOf(this.#seed, this.name, version, start, end);
  }

  #etag(kind: string): string | undefined {
    if (kind === "none") return undefined;
    if (kind !== "strong" && kind !== "weak") return kind;
    const name = `"${hex32(hash32(`${this.name}\n${this.version}\n${this.size}`, this.#seed))}"`;
    return kind === "weak" ? `W/${name}` : name;
  }
}
