import { afterEach } from "vitest";
import type { Resolution, Resolver, ResolveRequest } from "../../../src/data-source/resolution.ts";
import { AfterbayError } from "../../../src/errors.ts";
import { createYouTube, type YouTubeLimits } from "../../../src/resolvers/youtube/youtube.ts";
import { type FakeYouTube, type FakeYouTubeOptions, startFakeYouTube } from "../../helpers/innertube/fake.ts";
import { type ClientView, type FakeVideo, usualFormats } from "../../helpers/innertube/video.ts";

export const ID = "dQw4w9WgXcQ";

export interface World {
  readonly yt: FakeYouTube;
  readonly resolver: Resolver;
  /** Monotonic ms, as the resolver reads them. */
  time: number;
  resolve(id?: string, about?: Partial<ResolveRequest>): Promise<Resolution>;
  /** What comes of it: the error, which must be Afterbay's own. */
  failure(id?: string, about?: Partial<ResolveRequest>): Promise<AfterbayError>;
  /** The clients that were asked since the last look, in order. */
  asked(): string[];
}

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A fake YouTube that has {@link ID}, and a resolver that is sent there. `query` begins with & or is empty. */
export async function startWorld(
  video: Partial<FakeVideo> = {},
  query = "",
  { fake = {}, limits = {} }: { readonly fake?: FakeYouTubeOptions; readonly limits?: YouTubeLimits } = {},
): Promise<World> {
  const yt = await startFakeYouTube(fake);
  closing.push(() => yt.close());
  yt.video(ID, { formats: usualFormats(), ...video });
  const resolver = await createYouTube(`base=${encodeURIComponent(yt.origin)}${query}`, {
    now: () => world.time,
    ...limits,
  });
  closing.unshift(async () => resolver.close?.());
  const world: World = {
    yt,
    resolver,
    time: 1_000_000,
    resolve: (id = ID, about = {}) => resolver.resolve(id, { ...first(), ...about }),
    async failure(id = ID, about = {}) {
      const outcome: unknown = await world.resolve(id, about).catch((error: unknown) => error);
      if (outcome instanceof AfterbayError) return outcome;
      throw new Error("It did not fail as it should", { cause: outcome });
    },
    asked: () => yt.calls.splice(0).map(({ client }) => client),
  };
  return world;
}

export function first(): ResolveRequest {
  return { signal: new AbortController().signal, attempt: 1, reason: "first" };
}

/** The request after a URL was refused. */
export function refused(attempt: number, variant?: string): Partial<ResolveRequest> {
  return { attempt, reason: "forbidden", ...(variant !== undefined && { variant }) };
}

/** One view for every client. */
export function forAll(view: ClientView): Pick<FakeVideo, "clients"> {
  return { clients: { "*": view } };
}

export const itagOf = ({ variant = "" }: Resolution): number => Number(variant.split("-")[0]);
export const clientOf = ({ url }: Resolution): string | null => new URL(url).searchParams.get("c");
