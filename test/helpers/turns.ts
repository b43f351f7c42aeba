/** Watches the event loop's turns: work that is not done in slices shows as one long turn. */
export class Turns {
  #longest = 0;
  #cpu = process.cpuUsage();
  #at = performance.now();
  #next: NodeJS.Immediate;

  constructor() {
    this.#next = setImmediate(() => this.#turn());
  }

  #turn(): void {
    this.#measure();
    this.#next = setImmediate(() => this.#turn());
  }

  #measure(): void {
    const { user, system } = process.cpuUsage(this.#cpu);
    const now = performance.now();
    this.#longest = Math.max(this.#longest, Math.min(now - this.#at, (user + system) / 1000));
    this.#cpu = process.cpuUsage();
    this.#at = now;
  }

  /** Ms that the longest turn took, of the processor where that is less: a busy machine takes its time. */
  stop(): number {
    clearImmediate(this.#next);
    // The one that has not ended yet counts as well.
    this.#measure();
    return this.#longest;
  }
}
