import type { Complaints } from "./complaints.ts";
import { keys as keysShape } from "./control/answers.ts";
import type { Owner } from "./owner.ts";
import type { OwnerSettings } from "./owner-settings.ts";
import { isLink, keyOf, written } from "./track-id.ts";

/** As {@link keysInOrder}, each once. */
export async function namedKeys(...wanted: Parameters<typeof keysInOrder>): Promise<string[]> {
  return [...new Set(await keysInOrder(...wanted))];
}

/**
 * The keys of the tracks that a person named: in order, those of playlists and the like in their place, and
 * those of links. What cannot be found out is a complaint, and the others are answered. Throws a UsageError for what is
 * neither an id nor a link.
 */
export async function keysInOrder(
  owner: Owner,
  texts: readonly string[],
  settings: OwnerSettings,
  complaints: Complaints,
): Promise<string[]> {
  const { defaultSource } = owner;
  const named = texts.map((text) => {
    const bare = isLink(text) && settings.namedSource === undefined;
    return { text, id: bare ? text : keyOf(text, defaultSource) };
  });
  const found = new Map<string, readonly string[]>();
  const ask = async (ids: readonly string[]): Promise<readonly string[]> => {
    const { tracks } = await owner.json({ method: "POST", path: "/api/expand", body: { ids } }, keysShape);
    return tracks.map(({ key }) => key);
  };
  // What may fail, or stand for many, is asked for alone.
  const [odd, plain] = [
    named.filter(({ text }) => text.includes(":")),
    named.filter(({ text }) => !text.includes(":")),
  ];
  const answers = plain.length === 0 ? [] : await ask(plain.map(({ id }) => id));
  for (const [index, { id }] of plain.entries()) found.set(id, answers.slice(index, index + 1));
  for (const { text, id } of odd) {
    const name = isLink(text) ? text : written(id, defaultSource);
    await complaints.guard(name, async () => void found.set(id, await ask([id])));
  }
  return named.flatMap(({ id }) => found.get(id) ?? []);
}
