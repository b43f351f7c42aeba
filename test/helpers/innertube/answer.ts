import { type ClientView, type FakeFormat, type FakeVideo, lastModified } from "./video.ts";

/** Innertube's answer about a video, as one client gets it. `mint` makes a URL. */
export function playerAnswer(
  id: string,
  video: FakeVideo,
  view: ClientView,
  mint: (format: FakeFormat) => Record<string, string>,
): object {
  const { status = "OK", reason, subreason } = view.playability ?? {};
  const seconds = video.seconds ?? 200;
  const errorScreen = subreason && {
    playerErrorMessageRenderer: { reason: { simpleText: reason }, subreason: { simpleText: subreason } },
  };
  return {
    playabilityStatus: { status, ...(reason && { reason }), ...(errorScreen && { errorScreen }) },
    videoDetails: {
      videoId: view.answersFor ?? id,
      title: video.title ?? `Song ${id}`,
      author: video.author ?? "The Band - Topic",
      lengthSeconds: String(seconds),
      channelId: "UC0000000000000000000000",
      shortDescription: video.description ?? "",
      viewCount: "1",
      thumbnail: {
        thumbnails: [
          { url: `https://i.ytimg.com/vi/${id}/default.jpg?sqp=-oaymw&rs=THUMBNAIL`, width: 120, height: 90 },
          { url: `https://i.ytimg.com/vi/${id}/hqdefault.jpg?sqp=-oaymw&rs=THUMBNAIL`, width: 480, height: 360 },
        ],
      },
      ...(view.live === true && { isLive: true, isLiveContent: true }),
    },
    ...(status === "OK" && { streamingData: streamingData(video, view, mint) }),
    ...(video.loudnessDb !== undefined && { playerConfig: { audioConfig: { loudnessDb: video.loudnessDb } } }),
  };
}

function streamingData(
  video: FakeVideo,
  view: ClientView,
  mint: (format: FakeFormat) => Record<string, string>,
): object {
  const formats = view.formats ?? video.formats;
  const seconds = video.seconds ?? 200;
  if (view.live === true) {
    return { expiresInSeconds: "21540", hlsManifestUrl: "https://manifest.googlevideo.com/api/manifest/hls_variant" };
  }
  return {
    expiresInSeconds: "21540",
    adaptiveFormats: [
      {
        itag: 137,
        mimeType: 'video/mp4; codecs="avc1"',
        qualityLabel: "1080p",
        width: 1920,
        height: 1080,
        bitrate: 4e6,
      },
      ...formats.map((format) => ({
        itag: format.itag,
        mimeType: format.mime ?? 'audio/webm; codecs="opus"',
        bitrate: format.bitrate ?? 128_000,
        ...(format.terse !== true && { lastModified: lastModified(format) }),
        ...(format.unsized !== true && format.terse !== true && { contentLength: String(format.size) }),
        quality: "tiny",
        audioQuality: "AUDIO_QUALITY_MEDIUM",
        approxDurationMs: String(seconds * 1000 + 21),
        audioSampleRate: "48000",
        audioChannels: 2,
        ...(format.loudnessDb !== undefined && { loudnessDb: format.loudnessDb }),
        ...(format.drm === true && { drmFamilies: ["WIDEVINE"] }),
        ...(format.drc === true && { isDrc: true }),
        ...(format.audioTrack && {
          audioTrack: {
            id: format.audioTrack.id,
            displayName: format.audioTrack.id,
            audioIsDefault: format.audioTrack.isDefault,
          },
        }),
        ...(view.sabrOnly === true ? {} : mint(format)),
      })),
    ],
    ...(view.sabrOnly === true && { serverAbrStreamingUrl: "https://rr1.googlevideo.com/videoplayback?sabr=1" }),
  };
}
