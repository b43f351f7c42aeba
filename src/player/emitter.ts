/**
 * Listeners of one kind of event. What a listener throws is the process's affair (`uncaughtException`), not that of
 * whoever tells. An event that is told from within a listener is told after the one at hand.
 */
export class Emitter<Event> {
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #queue: Event[] = [];

  /** Listens; the answer stops that. */
  listen(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  emit(event: Event): void {
    this.#queue.push(event);
    if (this.#queue.length > 1) return;
    for (let told = this.#queue[0]; told !== undefined; told = this.#queue[0]) {
      for (const listener of [...this.#listeners]) tell(listener, told);
      this.#queue.shift();
    }
  }
}

function tell<Event>(listener: (event: Event) => void, event: Event): void {
  try {
    listener(event);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
