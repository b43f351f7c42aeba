import { AfterbayError, isAfterbayError } from "../../errors.ts";
import { type Answer, askFor } from "./answer.ts";
import type { Client } from "./clients.ts";
import type { AudioFormat } from "./formats.ts";
import { type Innertube, type InnertubeConfig, type Library, loadLibrary } from "./library.ts";
import type { Base } from "./options.ts";
import { PlayerScript, type Script } from "./player-script.ts";
import { type Outgoing, Transport } from "./transport.ts";

export interface SessionOptions {
  readonly base?: Base;
  /** Milliseconds for each answer. */
  readonly timeoutMs: number;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Ends what is under way. */
  readonly closed: AbortSignal;
}

/** A session that is made up here, without a request. */
const OFFLINE: InnertubeConfig = {
  retrieve_player: false,
  retrieve_innertube_config: false,
  generate_session_locally: true,
  enable_session_cache: false,
};

/** Who YouTube takes us for: one visitor, as long as the source is open. It is made up here, and never changed. */
interface Identity {
  readonly visitor_data: string;
  readonly user_agent: string;
}

interface Opened {
  readonly library: Library;
  readonly identity: Identity;
}

/** All that is asked of YouTube by one source, by way of youtubei.js. */
export class YouTubeSession {
  readonly script: PlayerScript;
  readonly #transport: Transport;
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;

  constructor(options: SessionOptions) {
    this.#transport = new Transport(options);
    this.script = new PlayerScript({ transport: this.#transport, closed: options.closed, now: options.now });
  }

  /** False for an answer whose signatures are not for the player script in use. */
  isCurrent({ generation, formats }: Answer): boolean {
    if (!formats.some(({ needsScript }) => needsScript)) return true;
    return generation !== undefined && generation === this.script.loaded?.generation;
  }

  /**
   * What one client is told. Where its formats are signed, the player script is fetched and named, and the client asked
   * again: signatures are made for the script that it names. Throws as `askFor` and `PlayerScript.get` do.
   */
  async ask(videoId: string, client: Client, signal: AbortSignal): Promise<Answer> {
    const first = await this.#askNaming(this.script.loaded, videoId, client, signal);
    if (!first.formats.some(({ needsScript }) => needsScript)) return first;
    const { library } = await this.#open();
    const script = await this.script.get(library, signal).catch((error: unknown) => {
      // What needs it may be told apart, and fetched slowly; that is for `locate` to find out.
      if (isAfterbayError(error, "upstream-failed")) return undefined;
      throw error;
    });
    return script === undefined || first.generation === script.generation
      ? first
      : await this.#askNaming(script, videoId, client, signal);
  }

  /** What another part of Innertube answers, as JSON. Throws as `Transport` says, or the signal's reason. */
  async post(endpoint: string, args: object, client: Client, signal: AbortSignal): Promise<unknown> {
    const innertube = await this.#innertube((outgoing) => this.#asVersion(outgoing, client), signal);
    const { data } = await innertube.actions.execute(endpoint, { ...args, client: client.name });
    return data;
  }

  /** The URL of a format that {@link ask} gave. */
  async locate(client: Client, { generation }: Answer, format: AudioFormat, signal: AbortSignal): Promise<string> {
    if (!format.needsScript) return format.format.url ?? "";
    const { library } = await this.#open();
    const script = await this.script.get(library, signal);
    if (script.generation !== generation) {
      throw new AfterbayError("upstream-failed", "YouTube's player script was replaced meanwhile; try again");
    }
    const url = new URL(await this.script.decipher(library, format.format, script, signal));
    // The library names the version that it knows itself.
    if (client.version !== undefined && url.searchParams.has("cver")) url.searchParams.set("cver", client.version);
    return url.href;
  }

  /** How a client names itself, to Innertube and where the bytes are. */
  userAgentOf({ name, version }: Client): string {
    const known: { readonly VERSION?: string; readonly USER_AGENT?: string } =
      Object.entries(this.#opened?.library.Constants.CLIENTS ?? {}).find(([key]) => key === name)?.[1] ?? {};
    const text = known.USER_AGENT ?? this.#opened?.identity.user_agent ?? "";
    return version === undefined || known.VERSION === undefined ? text : text.replaceAll(known.VERSION, version);
  }

  /** Frees the connections, when `closed` has ended what used them. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  async #open(): Promise<Opened> {
    this.#opening ??= loadLibrary().then(async (library) => {
      const { context } = (await library.Innertube.create(OFFLINE)).session;
      const { visitorData = "", userAgent } = context.client;
      return { library, identity: { visitor_data: visitorData, user_agent: userAgent } };
    });
    this.#opened = await this.#opening;
    return this.#opened;
  }

  async #askNaming(script: Script | undefined, videoId: string, client: Client, signal: AbortSignal): Promise<Answer> {
    const innertube = await this.#innertube((outgoing) => this.#asVersion(outgoing, client), signal);
    if (script !== undefined) innertube.session.player = script.player;
    const answer = await askFor(innertube, videoId, client.name);
    return { ...answer, generation: script?.generation };
  }

  /** One for each request: `fetch` belongs to it, and with that the signal. Making it takes 1 ms and asks nothing. */
  async #innertube(edit: (outgoing: Outgoing) => Outgoing, signal: AbortSignal): Promise<Innertube> {
    const { library, identity } = await this.#open();
    return await library.Innertube.create({ ...OFFLINE, ...identity, fetch: this.#transport.fetchUntil(signal, edit) });
  }

  /** The request as a client of the configured version sends it. */
  #asVersion(outgoing: Outgoing, client: Client): Outgoing {
    const { version } = client;
    if (version === undefined || outgoing.body === undefined) return outgoing;
    const body = JSON.parse(outgoing.body) as { context?: { client?: Record<string, unknown> } };
    const about = body.context?.client;
    if (about === undefined) return outgoing;
    const userAgent = this.userAgentOf(client);
    about["clientVersion"] = version;
    about["userAgent"] = userAgent;
    const headers = new Headers(outgoing.headers);
    headers.set("x-youtube-client-version", version);
    headers.set("user-agent", userAgent);
    return { ...outgoing, headers, body: JSON.stringify(body) };
  }
}
