import type { Resolution, Resolver, ResolveRequest } from "../../data-source/resolution.ts";
import { Slots } from "../../data-source/slots.ts";
import { AfterbayError } from "../../errors.ts";
import { Closing } from "../closing.ts";
import { readAnswer } from "./answer.ts";
import { ytDlpArguments, ytDlpEnvironment } from "./arguments.ts";
import { failureOf, isTooOld } from "./failures.ts";
import { Guard } from "./guard.ts";
import { parseYtDlpOptions } from "./options.ts";
import { canonicalId, pageOf } from "./page.ts";
import { run } from "./run.ts";

export interface YtDlpLimits {
  /** Milliseconds for one run. Default 19,000. */
  readonly timeoutMs?: number;
  /** Lets links and redirects lead to private addresses. */
  readonly allowPrivate?: boolean;
}

/** Just below the 20 s after which the pipeline gives up, so that the reason is told. */
const TIMEOUT_MS = 19_000;
/** Each run takes 1 to 2 s of one core and 50 MB. As many as the pipeline asks for at once. */
const AT_ONCE = 4;

/**
 * The `yt-dlp` source: the program of that name turns a link to a page, or the id of a YouTube video, into the URL of its
 * sound. `query` is what stands behind `yt-dlp?`.
 *
 * Where bytes of a YouTube format are held, the same format is looked for. What the program requests goes to allowed
 * addresses only.
 *
 * Rejects with an Error of one line for options that cannot work, and where the program is missing; it is run only when a
 * track is resolved.
 */
export async function createYtDlp(query: string, limits: YtDlpLimits = {}): Promise<Resolver> {
  const { program, quality: usual } = parseYtDlpOptions(query);
  const { timeoutMs = TIMEOUT_MS, allowPrivate = false } = limits;
  const closing = new Closing();
  const slots = new Slots(AT_ONCE);
  let guard: Promise<Guard> | undefined;
  /** Learned from its words: another one may be installed while this runs, but not an older one. */
  let old = false;

  const guarded = (): Promise<Guard> => {
    guard ??= Guard.start({ allowPrivate }).catch((cause: unknown) => {
      guard = undefined;
      throw new AfterbayError("transient", "No way to the net could be opened for yt-dlp", { cause });
    });
    return guard;
  };
  const ask = async (id: string, about: ResolveRequest, signal: AbortSignal): Promise<Resolution> => {
    const page = pageOf(id);
    const { quality = usual, variant: held } = about;
    const itag = /^(\d+)-\d+-\d+$/.exec(held ?? "")?.[1];
    const env = ytDlpEnvironment(process.env, (await guarded()).url);
    const once = async (): ReturnType<typeof run> =>
      await run(program, { args: ytDlpArguments({ page, quality, itag, old }), env, timeoutMs, signal });
    // Others may learn it while this one runs.
    const askedAsNew = !old;
    let ran = await once();
    if (ran.code === 2 && askedAsNew && isTooOld(ran.stderr)) {
      old = true;
      ran = await once();
    }
    if (ran.code !== 0) throw failureOf(ran.stderr);
    return readAnswer(ran.stdout, { held, isYouTube: page.isYouTube });
  };

  return {
    variantFamily: "googlevideo",
    canonical: canonicalId,
    resolve: (id, request) =>
      closing.run(request.signal, (signal) => slots.run(signal, () => ask(id, request, signal))),
    async close() {
      closing.end();
      await (await guard?.catch(() => undefined))?.close();
    },
  };
}
