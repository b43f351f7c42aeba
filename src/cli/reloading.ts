import type { Server } from "./create-server.ts";
import type { Logger } from "../proxy.ts";
import { Failure } from "./problems.ts";
import type { ServeSettings } from "./serve-settings.ts";

/** Takes over what has changed in the settings while a server runs: the cache's size. */
export class Reloading {
  readonly #read: () => Promise<ServeSettings>;
  readonly #log: Logger;
  #cacheSize: number;
  #server: Server | undefined;
  #asked = false;
  #running = false;

  constructor(settings: ServeSettings, read: () => Promise<ServeSettings>, log: Logger) {
    this.#cacheSize = settings.server.cacheSize;
    this.#read = read;
    this.#log = log;
  }

  /** The server is there: what was asked for meanwhile is done now. */
  begin(server: Server): void {
    this.#server = server;
    if (this.#asked) this.ask();
  }

  /** Reads the settings again, soon; what was asked for twice meanwhile is done once. Answers true. */
  ask(): boolean {
    this.#asked = true;
    if (this.#server !== undefined && !this.#running) void this.#run(this.#server);
    return true;
  }

  async #run(server: Server): Promise<void> {
    this.#running = true;
    while (this.#asked) {
      this.#asked = false;
      try {
        this.#take(server, (await this.#read()).server.cacheSize);
      } catch (error) {
        const problem = error instanceof Failure ? error.message : "unknown error";
        this.#log.warn({ problem }, "The settings were not read again; nothing has changed");
      }
    }
    this.#running = false;
  }

  #take(server: Server, cacheSize: number): void {
    const before = this.#cacheSize;
    this.#cacheSize = cacheSize;
    if (cacheSize !== before) server.setCacheSize(cacheSize);
    this.#log.info({ cacheSize, before }, "The settings were read again; of them, the cache's size is taken over");
  }
}
