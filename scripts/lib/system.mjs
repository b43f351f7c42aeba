import { accessSync, constants, existsSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { capture, say } from "./setup.mjs";

/** The programs that tests use for real, by package name: any one of the programs will do. */
const players = {
  mpv: ["mpv"],
  ffmpeg: ["ffmpeg"],
  chromium: ["chromium", "chromium-browser", "google-chrome"],
  "yt-dlp": ["yt-dlp"],
};

function onPath(program) {
  return (process.env.PATH ?? "").split(delimiter).some((directory) => {
    try {
      accessSync(join(directory, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function missingPlayers() {
  return Object.keys(players).filter((name) => !players[name].some(onPath));
}

function canInstall() {
  if (process.platform !== "linux" || process.getuid?.() !== 0 || !onPath("apt-get")) return false;
  const release = existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(release);
}

function apt(...args) {
  const options = ["-q", "-y", "-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=120"];
  return capture("apt-get", [...options, ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    timeout: 10 * 60_000,
  });
}

function packageListsKnown() {
  const lists = "/var/lib/apt/lists";
  return existsSync(lists) && readdirSync(lists).some((name) => /_Packages(\.\w+)?$/.test(name));
}

function install(name) {
  return apt("install", "--no-install-recommends", name);
}

/** Installs the real players where that can be done without asking, and names those that stay missing. */
export function ensurePlayers() {
  const missing = missingPlayers();
  if (missing.length === 0) return;
  if (process.env.AFTERBAY_SKIP_SYSTEM !== "1" && canInstall()) {
    say(`Installing ${missing.join(", ")} for the tests that use them (once) …`);
    let updated = !packageListsKnown() && apt("update").ok;
    for (const name of missing) {
      let result = install(name);
      if (!result.ok && !updated) {
        updated = true;
        apt("update");
        result = install(name);
      }
      if (!result.ok) say(`apt-get could not install ${name}: ${result.output.trim().split("\n").at(-1)}`);
    }
  }
  const still = missingPlayers();
  if (still.length > 0) say(`Not installed: ${still.join(", ")}. The suites that need them will be skipped.`);
}
