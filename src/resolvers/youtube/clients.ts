/** A client of YouTube's that Innertube is asked as. */
export interface Client {
  /** As youtubei.js calls it: `VISIONOS`, `TV`, `YTMUSIC`. */
  readonly name: string;
  /** The version to ask as. Default: the one that youtubei.js knows. */
  readonly version?: string;
}

/**
 * Asked in this order where nobody says otherwise. As of November 2026, by reports of others: VISIONOS gives URLs that need
 * neither a token nor the player script; those of the web clients need the script; ANDROID_VR and IOS end after a minute.
 * Which ones work changes by the month: that is why the list is a setting.
 */
export const DEFAULT_CLIENTS: readonly Client[] = [{ name: "VISIONOS" }, { name: "TV" }, { name: "WEB_EMBEDDED" }];

/** The clients that youtubei.js 18 knows. A newer one may know more: then it is asked. */
const KNOWN: ReadonlySet<string> = new Set([
  "IOS",
  "WEB",
  "MWEB",
  "YTKIDS",
  "YTMUSIC",
  "ANDROID",
  "ANDROID_VR",
  "VISIONOS",
  "YTSTUDIO_ANDROID",
  "YTMUSIC_ANDROID",
  "TV",
  "TV_SIMPLY",
  "TV_EMBEDDED",
  "WEB_EMBEDDED",
  "WEB_CREATOR",
]);

const MAX_CLIENTS = 8;

/** Reads `NAME[@VERSION],…`. Throws an Error of one line for what is no list of clients. */
export function parseClients(text: string): readonly Client[] {
  const clients = text.split(",").map((part) => {
    const [, name, version] = /^([a-z][a-z0-9_]{1,30})(?:@([\w.-]{1,40}))?$/i.exec(part.trim()) ?? [];
    if (name === undefined) throw new Error("clients is a list like VISIONOS,TV@7.20260311.12.00");
    return { name: name.toUpperCase(), ...(version !== undefined && { version }) };
  });
  if (new Set(clients.map(({ name }) => name)).size < clients.length) throw new Error("clients names one client twice");
  if (clients.length > MAX_CLIENTS) throw new Error(`clients names more than ${MAX_CLIENTS} clients`);
  return clients;
}

/** The names that this release does not know, to be held against those of the library that is installed. */
export function unfamiliar(clients: readonly Client[]): readonly string[] {
  return clients.map(({ name }) => name).filter((name) => !KNOWN.has(name));
}
