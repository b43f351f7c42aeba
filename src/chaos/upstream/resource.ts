import { bytesOf, hash32, hex32, type Version } from "./bytes.ts";

/** One of the editions of a resource. */
export interface Edition {
  /** Another version means other bytes and another ETag. */
  readonly version?: Version;
  /** Bytes. */
  readonly size?: number;
}

/** The bytes [start, end) of a version: a pure function, also past the size, and a new array each time. */
export type Content = (version: Version, start: number, end: number) => Uint8Array;

export interface ResourceOptions {
  /** Bytes. Default 1 MiB, or the content's length. */
  readonly size?: number;
  /** These bytes instead of pseudo-random ones: a page, a feed, real audio. Other versions stay pseudo-random. */
  readonly content?: Uint8Array | string | Content;
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
  readonly #options: ResourceOptions;
  readonly #content: Content;

  /** `edition` says what differs from the resource as `options` describe it. */
  constructor(seed: number, name: string, options: ResourceOptions, edition: Edition = {}) {
    this.#seed = seed;
    this.name = name;
    this.#options = options;
    const bytes = typeof options.content === "string" ? new TextEncoder().encode(options.content) : options.content;
    this.#content = this.#contentOf(bytes, options.version ?? 1);
    this.size = edition.size ?? (bytes instanceof Uint8Array ? bytes.length : (options.size ?? 1024 * 1024));
    this.unknownLength = options.unknownLength ?? false;
    this.contentType = options.contentType === null ? undefined : (options.contentType ?? "audio/webm");
    this.version = edition.version ?? options.version ?? 1;
    this.signed = options.signed ?? false;
    this.etag = this.#etag(options.etag ?? "strong");
    const modified = options.lastModified;
    this.lastModified = modified instanceof Date ? modified.toUTCString() : (modified ?? undefined);
  }

  /** The bytes [start, end) of `version`, past the size too: surplus bytes come from somewhere. */
  bytes(start: number, end: number, version: Version = this.version): Uint8Array {
    return this.#content(version, start, Math.max(start, end));
  }

  /** The same resource as it is in another edition. */
  as(edition: Edition): Resource {
    return new Resource(this.#seed, this.name, this.#options, { version: this.version, size: this.size, ...edition });
  }

  #contentOf(content: Uint8Array | Content | undefined, first: Version): Content {
    if (typeof content === "function") return content;
    return (version, start, end) => {
      if (!content || String(version) !== String(first)) return bytesOf(this.#seed, this.name, version, start, end);
      const bytes = new Uint8Array(end - start);
      bytes.set(content.subarray(start, end));
      return bytes;
    };
  }

  #etag(kind: string): string | undefined {
    if (kind === "none") return undefined;
    if (kind !== "strong" && kind !== "weak") return kind;
    const name = `"${hex32(hash32(`${this.name}\n${this.version}\n${this.size}`, this.#seed))}"`;
    return kind === "weak" ? `W/${name}` : name;
  }
}
