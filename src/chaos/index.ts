export type { At, Behaviour, Redirect } from "./upstream/behaviour.ts";
export { bytesOf, type Version } from "./upstream/bytes.ts";
export type { Clock } from "./upstream/clock.ts";
export type { LoggedRequest } from "./upstream/log.ts";
export type { ResourceOptions } from "./upstream/resource.ts";
export type { Asked, Conditions, Rule } from "./upstream/script.ts";
export { startUpstream, type Upstream, type UpstreamOptions } from "./upstream/server.ts";
export type { UrlLimits } from "./upstream/urls.ts";
export type { Resolution, Webhook, WebhookAnswer, WebhookCall, WebhookOptions } from "./upstream/webhook.ts";
