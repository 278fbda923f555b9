/**
 * Headers that cross the gateway whichever protocol it is; each protocol adds its own. Whatever is in no list stays on
 * its side: most of what proxies, front ends and other gateways add speaks of where a user came from, of the operator's
 * account, or of the way, and each year brings new ones. A name that ends in `*` stands for all that begin so.
 */

/** Of a request: what it is, who wrote it, and how it is found again in traces. */
export const requestHeadersAnywhere: readonly string[] = [
  'accept',
  'content-type',
  'user-agent',
  'idempotency-key',
  'traceparent',
  'tracestate',
  'x-client-request-id',
  // The clients that are made by Stainless, both official ones among them.
  'x-stainless-*',
  // By which some providers keep one conversation on the server that has its cache.
  'x-session-id',
  'x-session-affinity',
  'x-grok-conv-id',
  // By which OpenRouter knows the program, as that wants it.
  'http-referer',
  'x-title',
  'x-openrouter-*',
]

/** Of an answer: how it is read, when to come back, and how the provider's support finds it. */
export const answerHeadersAnywhere: readonly string[] = [
  'content-type',
  'content-encoding',
  'content-length',
  'content-language',
  'content-disposition',
  'cache-control',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'request-id',
  'deprecation',
  'sunset',
  // Without it a proxy in front of this gateway may gather a stream before it passes it on.
  'x-accel-buffering',
]
