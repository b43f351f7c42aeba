/** Memory that mpv may fill with what it reads ahead. */
const READ_AHEAD_BYTES = 64 * 1024 ** 2;

/**
 * How mpv is started: with nothing of the user's own configuration, no window, no scripts, and no way to what a stream's
 * content might name. Options that mpv 0.35 and the newest both know; an unknown one would end it at once. What plays is
 * told over the socket, never here: arguments can be read by every user of the machine.
 */
export function mpvArguments(socketPath: string, lifeline: number | undefined): string[] {
  return [
    "--no-config",
    "--idle=yes",
    `--input-ipc-server=${socketPath}`,
    // mpv ends when this closes, so it does not play on alone when this process is killed.
    ...(lifeline === undefined ? [] : [`--input-ipc-client=fd://${lifeline}`]),
    "--input-terminal=no",
    "--input-default-bindings=no",
    "--input-media-keys=no",
    // What is said before the socket answers is all that tells why it never does.
    "--msg-level=all=error",
    "--no-video",
    "--sid=no",
    "--audio-display=no",
    "--audio-file-auto=no",
    "--sub-auto=no",
    "--cover-art-auto=no",
    "--force-window=no",
    "--load-scripts=no",
    "--osc=no",
    "--load-stats-overlay=no",
    // It would ask other programs about addresses that fail.
    "--ytdl=no",
    // A stream is one track: what it names (playlists, cue sheets, EDL) is not followed.
    "--access-references=no",
    "--autoload-files=no",
    "--load-unsafe-playlists=no",
    // Containers that name further addresses (HLS, concat, external parts of MP4) get none of them.
    "--demuxer-lavf-o=protocol_whitelist=none",
    "--keep-open=no",
    "--gapless-audio=weak",
    // Opens the next one as soon as the current one is read.
    "--prefetch-playlist=yes",
    "--hr-seek=yes",
    "--volume-max=100",
    "--audio-client-name=Afterbay",
    // A minute outlasts most outages; whole songs would be fetched for nothing when a listener skips through them.
    "--cache=yes",
    "--cache-secs=60",
    `--demuxer-max-bytes=${READ_AHEAD_BYTES}`,
    `--demuxer-max-back-bytes=${READ_AHEAD_BYTES / 4}`,
    // mpv itself connects again at once and after a second. It cannot tell an outage from a track that is gone, and would
    // try either for 11 s, in silence: what lasts longer is playback's, which can.
    "--stream-lavf-o=reconnect_delay_max=1",
    // Above the 20 s after which the proxy itself gives a listener up.
    "--network-timeout=30",
  ];
}

/** mpv's environment: a proxy that is meant for the web would be asked for addresses of this machine. */
export function mpvEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(https?|all)_proxy$/i.test(name)));
}
