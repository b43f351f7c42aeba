import { hostPort } from "../../data-source/addresses.ts";
import { QUALITIES, type Quality } from "../../data-source/quality.ts";
import { credentials } from "../template.ts";
import { type Client, DEFAULT_CLIENTS, parseClients } from "./clients.ts";

/** Where all requests to YouTube go instead: a relay, or a test. */
export interface Base {
  /** http: or https:, without credentials, query or a slash at its end. */
  readonly url: string;
  /** `host:port`. */
  readonly host: string;
  /** For the user and password that stand in the address. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface YouTubeOptions {
  /** In the order in which they are asked. */
  readonly clients: readonly Client[];
  /** For requests that ask for none. */
  readonly quality: Quality;
  readonly base?: Base;
}

const KEYS = ["clients", "quality", "base"];

/**
 * Reads what stands behind `youtube?`: `clients=A,B@VERSION&quality=high&base=URL`, each at most once. Throws an Error of
 * one line, which quotes no address: it may hold a password.
 */
export function parseYouTubeOptions(query: string): YouTubeOptions {
  const given = new URLSearchParams(query);
  for (const key of new Set(given.keys())) {
    if (!KEYS.includes(key)) throw new Error(`it has no option ${JSON.stringify(key)}; there are ${KEYS.join(", ")}`);
    if (given.getAll(key).length > 1) throw new Error(`${key} is there twice`);
  }
  const clients = given.get("clients");
  const quality = given.get("quality");
  const base = given.get("base");
  return {
    clients: clients === null ? DEFAULT_CLIENTS : parseClients(clients),
    quality: quality === null ? "high" : parseQuality(quality),
    ...(base !== null && { base: parseBase(base) }),
  };
}

function parseQuality(text: string): Quality {
  const quality = QUALITIES.find((known) => known === text);
  if (quality === undefined) throw new Error(`quality is one of ${QUALITIES.join(", ")}`);
  return quality;
}

function parseBase(text: string): Base {
  const wrong = (): Error => new Error("base is an http or https address without ? and #");
  if (!/^https?:\/\/[^\s\\?#\p{Cc}]+$/iu.test(text) || !URL.canParse(text)) throw wrong();
  const url = new URL(text);
  return {
    url: `${url.origin}${url.pathname}`.replace(/\/+$/, ""),
    host: hostPort(url),
    headers: credentials(url),
  };
}
