import { limitRows, meaningOf } from '#core/limits.ts'
import { outputPolicyDefault } from '#core/output-need.ts'
import type { UpstreamConfig } from '#upstreams/config.ts'
import type { Config } from './settings.ts'
import { withoutSecrets } from './without-secrets.ts'

/**
 * The keys of `tollgate.yaml` in words, for the documents and for `GET /admin/settings`. `what` may hold links of
 * Markdown, relative to `docs/reference`.
 */
export interface FileRow {
  /** The value in force, without secrets. */
  readonly value: (config: Config) => unknown
  readonly byDefault: string
  readonly what: string
}

/** In the order of the documents; `defaults` is told by its own keys. */
export const fileRows: Readonly<Record<string, FileRow>> = {
  timeZone: {
    value: ({ policy }) => policy.timeZone,
    byDefault: 'UTC',
    what: 'IANA name; quota periods follow its calendar.',
  },
  families: {
    value: ({ policy }) => policy.families,
    byDefault: '[the built-in ones](#families)',
    what: '`name` and `models` (globs) each; the first that matches wins.',
  },
  upstreams: {
    value: ({ upstreams }) => upstreams.map(shownUpstream),
    byDefault: 'none',
    what: 'In the order in which they are tried; see [below](#upstreams).',
  },
  weights: {
    value: ({ policy }) => policy.weights,
    byDefault: '1 each',
    what: 'How much a unit of `input`, `cacheRead`, `cacheWritten` and `output` (with reasoning) counts in a quota: 0 (free) to 100, at most three decimals. Under `families` by family, which wins; see [users](../guides/users.md#weights).',
  },
  signOn: {
    value: ({ signOn }) => {
      if (!signOn) return undefined
      const { clientSecret, ...shown } = signOn
      return { ...shown, hasClientSecret: clientSecret !== undefined }
    },
    byDefault: 'none',
    what: '`issuer`, `clientId`, `publicUrl`, `groups` (a list of scopes by group), `groupsClaim`, `emailDomains`, `scope`: as the variables `SIGN_ON_…`, which win. The secret is a variable only. See [sign-on](../guides/sign-on.md).',
  },
  purgeAfterDays: {
    value: (config) => config.purgeAfterDays,
    byDefault: '30',
    what: 'Days that a `temporary` user is kept after the expiry, see [below](#what-is-kept); `-1` never.',
  },
  onDisconnect: {
    value: (config) => config.onDisconnect,
    byDefault: 'abort',
    what: "A client hangs up: `abort` ends the upstream's request, `drain` reads it to its end.",
  },
  inputEstimate: {
    value: (config) => config.inputEstimate,
    byDefault: 'usual',
    what: '`usual`: bytes / 4 (/ 3 outside ASCII), amounts for images, files and tools, each [corrected](../decisions/0030-the-input-estimate-learns.md) by what providers count; `bound`: one unit a byte, which no text can pass, and the most for images and tools.',
  },
  corsOrigins: {
    value: (config) => config.corsOrigins,
    byDefault: 'none',
    what: 'Origins of web pages that may call the gateway themselves; `*` for all, see [security](../operations/security.md#web-pages).',
  },
  keepAliveMs: {
    value: (config) => config.keepAliveMs,
    byDefault: '0',
    what: 'A stream that is silent for so long gets a comment, which clients ignore, so that load balancers keep the connection. They stand between events. A request for a stream whose upstream has not answered yet gets status 200 and a comment after that silence; an error that comes later is then an event of the stream; 0 never.',
  },
  promptModel: {
    value: (config) => config.promptModel,
    byDefault: 'none',
    what: 'The model of a request to `/v1/responses` that names a stored `prompt` and no model; it is written into the request.',
  },
  passThrough: {
    value: (config) => config.passThrough,
    byDefault: 'none',
    what: 'Further routes of a provider, each a `path` below `/v1`, see [below](#passthrough).',
  },
}

/** What the upstream has of secrets is only said to be there. */
function shownUpstream({ baseUrl, apiKey, headers = {}, proxy, ca, ...rest }: UpstreamConfig): object {
  return {
    ...rest,
    baseUrl: withoutSecrets(baseUrl),
    hasApiKey: apiKey !== undefined,
    headers: Object.keys(headers),
    hasProxy: proxy !== undefined,
    hasCaFile: ca !== undefined,
  }
}

/** The keys of `defaults`: the quotas, the limits of users, and those of the output. */
export const defaultRows: Readonly<Record<string, FileRow>> = {
  limits: {
    value: ({ policy }) => policy.limits,
    byDefault: 'unlimited',
    what: 'Quota by family; 0 allows nothing, -1 is unlimited.',
  },
  ...Object.fromEntries(
    limitRows.map(([name, row]) => {
      const meaning =
        row.kind === 'choice'
          ? `One of ${row.choices.map((each) => `\`${each}\``).join(', ')}.`
          : meaningOf(row)
      const value = ({ policy }: Config) => policy.defaults[name]
      return [name, { value, byDefault: row.byDefault, what: `${row.what} ${meaning}` }]
    }),
  ),
  outputFloor: {
    value: ({ policy }) => policy.output.floor,
    byDefault: String(outputPolicyDefault.floor),
    what: 'A limited user’s bound of an answer up to this is held as it is; a larger one is never lowered below this.',
  },
  outputShare: {
    value: ({ policy }) => policy.output.share,
    byDefault: String(outputPolicyDefault.share),
    what: 'A larger one is lowered to this part of what is left, where that is more.',
  },
  outputUnits: {
    value: ({ policy }) => policy.output.unstated,
    byDefault: String(outputPolicyDefault.unstated),
    what: 'The most that is held, and for limited users written into the request, where it does not bound its output.',
  },
  outputLeast: {
    value: ({ policy }) => policy.output.least,
    byDefault: String(outputPolicyDefault.least),
    what: 'Such a request is refused where less than this is left for its answer.',
  },
}
