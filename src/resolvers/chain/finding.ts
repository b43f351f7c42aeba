import type { CatalogueTrack, FindRequest, Resolver } from "../../data-source/resolution.ts";
import { AfterbayError, isAfterbayError } from "../../errors.ts";

type Finding = Pick<Resolver, "canonical" | "search" | "expand" | "similar">;
type Find = (text: string, request: FindRequest) => Promise<readonly CatalogueTrack[]>;

/**
 * How the members of a chain find tracks, as one: names and lists are read by the first that knows them; of those that can
 * search, the first that does not fail is heard, since all name the same tracks.
 */
export function finding(members: readonly Resolver[]): Finding {
  const search = inTurn(members.flatMap((each): Find[] => (each.search ? [each.search.bind(each)] : [])));
  const similar = inTurn(members.flatMap((each): Find[] => (each.similar ? [each.similar.bind(each)] : [])));
  const can = (name: keyof Finding): boolean => members.some((each) => each[name] !== undefined);
  return {
    ...(can("canonical") && { canonical: (text) => firstOf(members, (each) => each.canonical?.(text)) }),
    ...(can("expand") && { expand: (id, request) => firstOf(members, (each) => each.expand?.(id, request)) }),
    ...(search && { search }),
    ...(similar && { similar }),
  };
}

function firstOf<T>(members: readonly Resolver[], ask: (member: Resolver) => T | undefined): T | undefined {
  for (const member of members) {
    const answer = ask(member);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** Undefined where nobody can. Rejects with the first failure where all fail. */
function inTurn(finds: readonly Find[]): Find | undefined {
  if (finds.length === 0) return undefined;
  return async (text, request) => {
    let failure: AfterbayError | undefined;
    for (const find of finds) {
      try {
        return await find(text, request);
      } catch (error) {
        if (request.signal.aborted || !isAfterbayError(error)) throw error;
        failure ??= error;
      }
    }
    throw failure ?? new AfterbayError("not-found", "No source of this chain can search");
  };
}
