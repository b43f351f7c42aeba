/** The playback service: a queue, what plays it, and mpv to play it with. `docs/player.md` says how they fit together. */
export { AutoQueue, type AutoQueueOptions } from "./auto-queue.ts";
export { DailyBudget, type SavedBudget } from "./daily-budget.ts";
export type { DriverEvent, DriverTrack, PlayerDriver } from "./driver.ts";
export { LookAhead, type LookAheadOptions } from "./look-ahead.ts";
export { type MpvDriverOptions, startMpvDriver } from "./mpv/mpv-driver.ts";
export type { OutcomeOf, RequestOutcome } from "./outcome.ts";
export { Playback, type PlaybackOptions, type Remembered, type TrackFacts } from "./playback.ts";
export { type MemoryOptions, PlaybackMemory } from "./playback-memory.ts";
export type { PlaybackError, PlaybackEvent, PlaybackState, PlaybackStatus } from "./playback-state.ts";
export { proxyOutcomes } from "./proxy-outcomes.ts";
export { proxyPrefetch } from "./proxy-prefetch.ts";
export { proxySimilar } from "./proxy-similar.ts";
export { Queue, type QueueEntry, type Repeat, type SavedQueue } from "./queue.ts";
export { Reachability } from "./reachability.ts";
export { remoteControl } from "./remote-control.ts";
export { RemoteProxy, type RemoteProxyOptions } from "./remote-proxy.ts";
