import { stat } from "node:fs/promises";
import { extname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { CatalogueTrack, FindRequest, Resolution, Resolver, ResolveRequest } from "../data-source/resolution.ts";
import { Closing } from "./closing.ts";
import { AfterbayError } from "../errors.ts";
import { fromUserError, presentable } from "./user-error.ts";

/** What was found in a module: nothing in it is known to keep the types of a Resolver. */
interface Found {
  readonly resolve: (id: string, request: ResolveRequest) => unknown;
  readonly list?: () => unknown;
  readonly search?: Find;
  readonly similar?: Find;
  readonly hosts?: readonly string[];
  readonly maxWindow?: number;
  readonly close?: () => unknown;
}

type Find = (text: string, request: FindRequest) => unknown;

/**
 * The `module:FILE` source: an ES module (`.js` or `.mjs`; a relative path starts at the working directory) whose default
 * export is a Resolver, or the `resolve` function of one. It runs in this process, with all its rights.
 *
 * What it throws with the `code` `not-found`, `unplayable` or `url-refused` means that; everything else is transient. Its
 * resolutions are passed on as they are, to be validated.
 *
 * Rejects with an Error of one line that names the file: it is missing, cannot be loaded, or exports something else.
 */
export async function createModuleResolver(file: string): Promise<Resolver> {
  const { resolve: ask, list, search, similar, hosts, maxWindow, close } = judge(file, await load(file));
  const closing = new Closing();
  const finding =
    (find: Find) =>
    (text: string, request: FindRequest): Promise<readonly CatalogueTrack[]> =>
      closing.run(request.signal, async (signal) => tracksOf(await guarded(() => find(text, { ...request, signal }))));
  return {
    resolve: (id, request) =>
      closing.run(request.signal, (signal) => guarded(() => ask(id, { ...request, signal })) as Promise<Resolution>),
    ...(list !== undefined && { list: () => guarded(list) as Promise<readonly CatalogueTrack[]> }),
    ...(search !== undefined && { search: finding(search) }),
    ...(similar !== undefined && { similar: finding(similar) }),
    ...(hosts !== undefined && { hosts }),
    ...(maxWindow !== undefined && { maxWindow }),
    async close() {
      if (closing.signal.aborted) return;
      closing.end();
      await close?.();
    },
  };
}

async function load(file: string): Promise<unknown> {
  const path = resolve(file);
  const extension = extname(path);
  if (extension !== ".js" && extension !== ".mjs") throw new Error(`The module ${file} must be a .js or .mjs file`);
  const stats = await stat(path).catch(() => undefined);
  if (stats?.isFile() !== true) throw new Error(`There is no module ${file}`);
  let loaded: object;
  try {
    loaded = (await import(pathToFileURL(path).href)) as object;
  } catch (error) {
    throw new Error(`The module ${file} cannot be loaded: ${wordsOf(error)}`, { cause: error });
  }
  if (!("default" in loaded)) throw new Error(`The module ${file} has no default export`);
  return loaded.default;
}

function judge(file: string, value: unknown): Found {
  if (typeof value === "function") return { resolve: value as Found["resolve"] };
  const wrong = (what: string): Error => new Error(`The module ${file} cannot be used: ${what}`);
  if (typeof value !== "object" || value === null) {
    throw wrong("its default export is neither a function nor an object with resolve");
  }
  const found = value as Partial<Record<keyof Found, unknown>>;
  const { resolve: ask, list, search, similar, hosts, maxWindow, close } = found;
  if (typeof ask !== "function") throw wrong("its default export has no resolve function");
  for (const [name, method] of Object.entries({ list, search, similar })) {
    if (method !== undefined && typeof method !== "function") throw wrong(`${name} is no function`);
  }
  if (close !== undefined && typeof close !== "function") throw wrong("close is no function");
  if (hosts !== undefined && !areHosts(hosts)) throw wrong('hosts must be a list of "host:port"');
  if (maxWindow !== undefined && !isSize(maxWindow)) throw wrong("maxWindow must be a number of bytes");
  // As methods of the object, which may need it as their `this`.
  return {
    resolve: (id, request) => (ask as Found["resolve"]).call(value, id, request),
    ...(list !== undefined && { list: () => (list as () => unknown).call(value) }),
    ...(search !== undefined && { search: (words, request) => (search as Find).call(value, words, request) }),
    ...(similar !== undefined && { similar: (id, request) => (similar as Find).call(value, id, request) }),
    ...(hosts !== undefined && { hosts }),
    ...(maxWindow !== undefined && { maxWindow }),
    ...(close !== undefined && { close: () => close.call(value) as unknown }),
  };
}

function tracksOf(value: unknown): readonly CatalogueTrack[] {
  if (Array.isArray(value)) return value as CatalogueTrack[];
  throw new AfterbayError("transient", "The module gave no list of tracks");
}

function areHosts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((host) => typeof host === "string" && /^\S+:\d{1,5}$/.test(host));
}

function isSize(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value > 0;
}

/** Calls, also what is no async function, and turns what it throws into an AfterbayError. */
async function guarded(call: () => unknown): Promise<unknown> {
  try {
    return await call();
  } catch (error) {
    throw fromUserError(error, "The module's resolver failed");
  }
}

/** A message in one line, of a length to be shown. */
function wordsOf(error: unknown): string {
  return presentable(error instanceof Error ? error.message : "") || "it says no more";
}
