import type { Finder } from "./finders.ts";
import type { Found, SearchView } from "./view.ts";

/** What is typed is looked for when no key follows within this, ms. */
const QUIET_MS = 60;
const PAGE = 10;
const MAX_TEXT = 200;

/** A search as it is typed: its text, and what is found for it, from several places. */
export class Search {
  readonly #finders: readonly Finder[];
  readonly #onChange: () => void;
  #text: string | undefined;
  #found: readonly (readonly Found[] | undefined)[] = [];
  #selected = 0;
  #running = new AbortController();
  #quiet: NodeJS.Timeout | undefined;

  constructor(finders: readonly Finder[], onChange: () => void) {
    this.#finders = finders;
    this.#onChange = onChange;
  }

  /** Undefined while nothing is looked for. */
  get view(): SearchView | undefined {
    if (this.#text === undefined) return undefined;
    const found = this.#all;
    const selected = Math.min(this.#selected, Math.max(0, found.length - 1));
    return { text: this.#text, found, selected, busy: this.#found.includes(undefined) };
  }

  get chosen(): Found | undefined {
    return this.#all[this.view?.selected ?? 0];
  }

  open(): void {
    this.#text = "";
    this.#found = this.#finders.map(() => undefined);
    this.#look();
  }

  close(): void {
    this.#text = undefined;
    this.#found = [];
    this.#running.abort();
    clearTimeout(this.#quiet);
  }

  move(by: number): void {
    this.#selected = Math.min(Math.max(0, this.#selected + by), Math.max(0, this.#all.length - 1));
  }

  onKey(key: string): void {
    const text = this.#text ?? "";
    const steps: Readonly<Record<string, number>> = { up: -1, down: 1, pageup: -PAGE, pagedown: PAGE };
    const step = steps[key];
    if (step !== undefined) this.move(step);
    else if (key === "escape") this.close();
    else if (key === "backspace" && text === "") this.close();
    else if (key === "backspace") this.#type(Array.from(text).slice(0, -1).join(""));
    else if (key === "ctrl-u") this.#type("");
    else if (key === "ctrl-w") this.#type(text.replace(/\S+\s*$/u, ""));
    else if (key === "space") this.#type(`${text} `);
    // Names of keys are longer than what they type.
    else if (Array.from(key).length === 1) this.#type(text + key);
  }

  /** Each track once, but for its places in the queue. */
  get #all(): readonly Found[] {
    const seen = new Set<string>();
    return this.#found
      .flatMap((some) => some ?? [])
      .filter(({ track, entry }) => {
        const name = entry === undefined ? `${track.source}/${track.id}` : String(entry);
        return !seen.has(name) && seen.add(name);
      });
  }

  #type(text: string): void {
    this.#text = text.slice(0, MAX_TEXT);
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => this.#look(), QUIET_MS);
  }

  #look(): void {
    const text = this.#text;
    if (text === undefined) return;
    this.#running.abort();
    const running = new AbortController();
    this.#running = running;
    this.#selected = 0;
    // What was found before stays in sight until there is something else.
    let replaced = false;
    let found: readonly (readonly Found[] | undefined)[] = this.#finders.map(() => undefined);
    for (const [index, finder] of this.#finders.entries()) {
      void finder
        .find(text, running.signal)
        // A place that cannot be asked has nothing.
        .catch(() => [])
        .then((some) => {
          if (running.signal.aborted) return;
          found = found.with(index, some);
          replaced ||= some.length > 0 || !found.includes(undefined);
          if (replaced) this.#found = found;
          this.#onChange();
        });
    }
  }
}
