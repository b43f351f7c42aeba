import { readFileSync } from "node:fs";
import { chmod, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tmpDir } from "../../helpers/process.ts";

/** One run of the program. */
export interface Call {
  readonly pid: number;
  readonly args: readonly string[];
  /** Its variable http_proxy, and the names of all that begin with AFTERBAY. */
  readonly env: string;
}

/** A program that stands in for yt-dlp: it answers what it is told, and notes how it was run. */
export interface FakeYtDlp {
  /** Its path. */
  readonly program: string;
  /** What stands behind `yt-dlp?` to use it. */
  readonly query: string;
  readonly calls: () => readonly Call[];
  /** Processes that live: runs, and what they have started. */
  readonly live: () => number;
  /** What it writes for a page whose last part (behind / or =) is `name`: JSON, or as it is. */
  readonly answer: (name: string, what: object | string) => Promise<void>;
  /** It says so on stderr, and ends with `code`. Undefined: no more. */
  readonly fail: (words: string | undefined, code?: number) => Promise<void>;
  /** It answers nothing until this is taken back. */
  readonly hold: (held: boolean) => Promise<void>;
  readonly close: () => Promise<void>;
}

const MARK = "\u001f";

export async function startFakeYtDlp(): Promise<FakeYtDlp> {
  const dir = await tmpDir();
  const at = (...names: string[]): string => join(dir.path, ...names);
  const program = at("yt-dlp");
  await mkdir(at("answers"));
  await writeFile(at("calls"), "");
  await writeFile(at("children"), "");
  // A group's members, wrappers of it among them, are to end with it: while it is held, it has a child.
  await writeFile(
    program,
    `#!/bin/sh
D='${dir.path}'
printf '%s\\037' "$$" "$http_proxy $(env | grep -c ^AFTERBAY)" "$@" END >> "$D/calls"
if [ -e "$D/held" ]; then
  (while [ -e "$D/held" ]; do sleep 0.02; done) &
  echo $! >> "$D/children"
  wait
fi
if [ -e "$D/words" ]; then cat "$D/words" >&2; exit "$(cat "$D/code")"; fi
for page; do :; done
name="\${page##*[=/]}"
if [ -e "$D/answers/$name" ]; then exec cat "$D/answers/$name"; fi
echo "ERROR: [youtube] $name: Video unavailable" >&2
exit 1
`,
  );
  await chmod(program, 0o755);
  const calls = (): Call[] =>
    readFileSync(at("calls"), "utf8")
      .split(`${MARK}END${MARK}`)
      .filter((call) => call !== "")
      .map((call) => {
        const [pid = "", env = "", ...args] = call.split(MARK);
        return { pid: Number(pid), env, args };
      });
  return {
    program,
    query: `path=${encodeURIComponent(program)}`,
    calls,
    live() {
      const children = readFileSync(at("children"), "utf8").split("\n").filter(Boolean).map(Number);
      return [...calls().map(({ pid }) => pid), ...children].filter(isAlive).length;
    },
    answer: (name, what) => writeFile(at("answers", name), typeof what === "string" ? what : JSON.stringify(what)),
    async fail(words, code = 1) {
      await writeFile(at("code"), String(code));
      if (words === undefined) await rm(at("words"), { force: true });
      else await writeFile(at("words"), `${words}\n`);
    },
    hold: (held) => (held ? writeFile(at("held"), "") : rm(at("held"), { force: true })),
    close: () => dir.remove(),
  };
}

/** False for what has ended and was only not asked for its end yet. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return process.platform !== "linux";
  }
}

/** What yt-dlp writes of a video of YouTube's. */
export function video(id: string, more: object = {}): object {
  const url = googlevideo(id, "251");
  return {
    _type: "video",
    id,
    title: "A song (official)",
    track: "A song",
    artists: ["One", "Two"],
    album: "Songs",
    uploader: "One - Topic",
    duration: 212.4,
    thumbnail: "https://i.ytimg.com/vi/x/maxres.jpg",
    url,
    protocol: "https",
    ext: "webm",
    acodec: "opus",
    vcodec: "none",
    filesize: 3_000_251,
    http_headers: { "User-Agent": "A browser", "Accept-Language": "en" },
    formats: ["140", "251"].map((itag) => ({
      format_id: itag,
      url: googlevideo(id, itag),
      protocol: "https",
      ext: itag === "140" ? "m4a" : "webm",
      filesize: Number(`3000${itag}`),
    })),
    ...more,
  };
}

function googlevideo(id: string, itag: string): string {
  const query = {
    id,
    itag,
    lmt: "1712345678123456",
    clen: `3000${itag}`,
    expire: "4000000000",
    sig: "SECRET-SIGNATURE",
  };
  return `https://rr1---sn.googlevideo.com/videoplayback?${new URLSearchParams(query).toString()}`;
}
