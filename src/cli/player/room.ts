import { join } from "node:path";
import { AutoQueue } from "../../player/auto-queue.ts";
import { LookAhead } from "../../player/look-ahead.ts";
import { startMpvDriver } from "../../player/mpv/mpv-driver.ts";
import { Playback } from "../../player/playback.ts";
import { PlaybackMemory } from "../../player/playback-memory.ts";
import { proxyOutcomes } from "../../player/proxy-outcomes.ts";
import { proxyPrefetch } from "../../player/proxy-prefetch.ts";
import { proxySimilar } from "../../player/proxy-similar.ts";
import { Reachability } from "../../player/reachability.ts";
import { remoteControl } from "../../player/remote-control.ts";
import type { Logger, Proxy } from "../../proxy.ts";

export interface RoomOptions {
  readonly cacheDir: string;
  /** Similar tracks are added when the queue nears its end, from the start. */
  readonly auto: boolean;
  readonly log: Logger;
}

/**
 * Plays in this room what clients of a server ask for: mpv, steered by `/api/player`. Rejects with a ConfigError where mpv
 * cannot be had. What is in the queue is remembered beside the cache.
 */
export async function playInRoom(
  proxy: Proxy,
  { cacheDir, auto: enabled, log }: RoomOptions,
): Promise<{ close(): Promise<void> }> {
  const driver = await startMpvDriver();
  const memory = await PlaybackMemory.open({
    directory: join(cacheDir, "player", "serve"),
    onError: (err) => log.warn({ err }, "The player's queue cannot be written down"),
  });
  const outcomes = proxyOutcomes(proxy);
  const reachability = new Reachability();
  proxy.on("prefetch", ({ state, code }) => {
    if (state === "done" || state === "failed") reachability.note(code);
  });
  const playback = new Playback({
    driver,
    urlFor: ({ source, id }) => proxy.urlFor(id, source),
    outcomeOf: outcomes.outcomeOf,
    factsOf: (track) => proxy.factsOf(track),
    remembered: memory.remembered,
  });
  memory.follow(playback);
  const { isOffline } = reachability;
  const ahead = new LookAhead(playback, { prefetch: proxyPrefetch(proxy), isOffline });
  playback.listen((event) => {
    if (event.type !== "failed") return;
    const { source, id } = event.entry;
    log.warn({ source, id, code: event.code }, "A track could not be played");
  });
  const auto = new AutoQueue(playback, { similar: proxySimilar(proxy), enabled });
  const detach = proxy.attachPlayer(remoteControl(playback, auto));
  return {
    async close() {
      detach();
      auto.close();
      // Before anything that can take its time: where it was is what counts.
      await memory.close();
      await Promise.all([ahead.close(), playback.close()]);
      outcomes.close();
    },
  };
}
