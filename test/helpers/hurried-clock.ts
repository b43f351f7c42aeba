import { type Clock, systemClock } from "../../src/data-source/clock.ts";

/** The system's clock, but what is due `ahead` ms later comes now when it is told so; its wall clock can jump alone. */
export class HurriedClock implements Clock {
  #ahead = 0;
  #jumped = 0;
  readonly #pending = new Set<{ readonly due: number; fire(): void }>();

  now(): number {
    return systemClock.now() + this.#ahead;
  }

  wall(): number {
    return systemClock.wall() + this.#ahead + this.#jumped;
  }

  after(ms: number, callback: () => void): () => void {
    const cancel = systemClock.after(ms, () => timer.fire());
    const timer = {
      due: this.now() + ms,
      fire: (): void => {
        cancel();
        if (this.#pending.delete(timer)) callback();
      },
    };
    this.#pending.add(timer);
    return () => {
      cancel();
      this.#pending.delete(timer);
    };
  }

  hurry(ms: number): void {
    this.#ahead += ms;
    for (const timer of this.#pending) if (timer.due <= this.now()) timer.fire();
  }

  /** Somebody sets the wall clock. */
  jump(ms: number): void {
    this.#jumped += ms;
  }
}
