import { existsSync, readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { z } from 'zod'
import { pathOf } from '#core/issues.ts'
import { type LimitName, type LimitRow, type LimitValue, limitRows } from '#core/limits.ts'
import { isNetwork } from '#core/network.ts'
import { unitsMax } from '#core/units.ts'
import { isWeight, weightMax } from '#core/weights.ts'
import { providers } from '#providers/all.ts'
import { pathPrefixesOf, privateHeadersOf } from '#providers/gathered.ts'
import { passedMethods } from '#providers/passed-route.ts'
import { createNeverPassed } from '#upstreams/header-lists.ts'
import { ConfigError } from './settings.ts'
import { signOnScopes } from './sign-on-scopes.ts'

/**
 * The schema of `tollgate.yaml`: families, defaults, upstreams and the like. Single values come from the environment.
 */
const limit = z.number().int().min(-1).max(unitsMax)
const globs = z.array(z.string().min(1)).min(1)
const name = z
  .string()
  .regex(/^[\w.-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, dashes or underscores')
const notModels = 'must be a list of globs, or a map from a name to the name that the upstream has for it'
const aliases = z
  .record(z.string().regex(/^[^*]{1,256}$/, 'must be a name without *'), z.string().min(1).max(256))
  .refine((map) => Object.keys(map).length > 0, notModels)

/** Headers of framing and of a single connection cannot be configured. */
const headerName = z
  .string()
  .regex(/^[\w!#$%&'*+.^`|~-]{1,128}$/, 'must be the name of a header')
  .refine(
    (header) =>
      !/^(?:connection|content-length|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$/i.test(
        header,
      ),
    'cannot be set by the configuration',
  )
/** Headers that describe a body cannot carry a credential as well. */
const credentialHeader = headerName.refine(
  (header) => !/^(?:accept.*|content-.*|cookie|user-agent)$/i.test(header),
  'cannot carry a credential: requests use this header for something else',
)
const milliseconds = z.number().int().min(1).max(86_400_000)

const isNeverPassed = createNeverPassed(privateHeadersOf(providers))
const passedHeaders = z.array(
  z
    .string()
    .regex(/^[\w-]+\*?$/, 'must be the name of a header, or a prefix that ends in *')
    .toLowerCase()
    .refine((name) => !isNeverPassed(name), 'never passes: it belongs to one connection, or is a credential'),
)

/** Below the prefix of a protocol; no segment begins with a dot. */
const passedPath = new RegExp(
  `^(?:${pathPrefixesOf(providers).join('|')})/[\\w-][\\w.-]*(?:/(?:[\\w-][\\w.-]*|\\*))*$`,
)

const outputUnits = z.number().int().min(1).max(10_000_000)

const notWeight = `must be a number from 0 (free) to ${weightMax}, with at most three decimals; a unit without a weight counts as 1`
const weight = z.number({ error: notWeight }).refine(isWeight, notWeight)
const kindWeights = {
  input: weight.optional(),
  cacheRead: weight.optional(),
  cacheWritten: weight.optional(),
  output: weight.optional(),
}
const weightedKinds = `weights are for ${Object.keys(kindWeights).join(', ')}; reasoning counts as output`

const notOrigin = 'must be an origin such as https://chat.example.org, without a path, or *'

/** -1: never. */
const days = z.number().int().min(-1).max(36_500)

type LimitDefaults = { [Name in LimitName]: z.ZodOptional<z.ZodType<LimitValue<Name>>> }

/** A default for each limit of a user, by the table of limits. */
function limitDefaults(): LimitDefaults {
  const entries = limitRows.map(([name, row]) => [name, limitDefault(row).optional()])
  // Each field was made by the kind of its limit.
  return Object.fromEntries(entries) as LimitDefaults
}

function limitDefault(row: LimitRow): z.ZodType {
  switch (row.kind) {
    case 'count':
      return limit
    case 'days':
      return days.refine((count) => count !== 0, 'must be 1 or more days, or -1')
    case 'networks':
      return z.array(z.string().refine(isNetwork, 'must be a network such as 10.0.0.0/8'))
    case 'models':
      return z.array(z.string().min(1))
    case 'choice':
      return z.enum(row.choices)
  }
}

const fileSchema = z.strictObject({
  timeZone: z.string().refine(isTimeZone, 'must be a time zone such as Europe/Paris').optional(),
  families: z
    .array(z.strictObject({ name, models: globs }))
    .min(1)
    .optional(),
  defaults: z
    .strictObject({
      limits: z.record(z.string(), limit).optional(),
      ...limitDefaults(),
      outputFloor: outputUnits.optional(),
      outputShare: z.number().min(0).max(1).optional(),
      outputUnits: outputUnits.optional(),
      outputLeast: outputUnits.optional(),
    })
    .optional(),
  upstreams: z
    .array(
      z.strictObject({
        name: name.optional(),
        preset: z.string().optional(),
        provider: z.string().optional(),
        baseUrl: z
          .url({ protocol: /^https?$/, error: 'must be a URL that begins with http:// or https://' })
          .optional(),
        apiKey: z.string().min(1).optional(),
        apiKeyHeader: credentialHeader.optional(),
        headers: z.record(headerName, z.string()).optional(),
        models: z.union([globs, aliases], { error: notModels }).optional(),
        streamOptions: z.enum(['ask', 'never']).optional(),
        proxy: z.string().min(1).optional(),
        caFile: z.string().min(1).optional(),
        outputCapMember: z.enum(['max_tokens', 'max_completion_tokens', 'max_output_tokens']).optional(),
        outputCapMax: outputUnits.optional(),
        refusesUnknown: z.boolean().optional(),
        passRequestHeaders: passedHeaders.optional(),
        passAnswerHeaders: passedHeaders.optional(),
        connectTimeoutMs: milliseconds.optional(),
        headersTimeoutMs: milliseconds.optional(),
        idleTimeoutMs: milliseconds.optional(),
        healthEveryMs: milliseconds.min(1000).optional(),
        connections: z.number().int().min(1).max(65_535).optional(),
      }),
    )
    .optional(),
  weights: z
    .strictObject({ ...kindWeights, families: z.record(z.string(), z.strictObject(kindWeights)).optional() })
    .optional(),
  signOn: z
    .strictObject({
      issuer: z.string().min(1).optional(),
      clientId: z.string().min(1).max(512).optional(),
      publicUrl: z.string().min(1).optional(),
      groupsClaim: z.string().min(1).max(256).optional(),
      scope: z.string().min(1).max(512).optional(),
      groups: z.record(z.string().min(1).max(256), z.array(z.enum(signOnScopes)).min(1)).optional(),
      emailDomains: z.array(z.string().min(1)).max(100).optional(),
    })
    .optional(),
  purgeAfterDays: days.optional(),
  onDisconnect: z.enum(['abort', 'drain']).optional(),
  inputEstimate: z.enum(['usual', 'bound']).optional(),
  corsOrigins: z.array(z.string().refine(isOrigin, notOrigin)).optional(),
  keepAliveMs: z.number().int().min(0).max(3_600_000).optional(),
  promptModel: z.string().min(1).max(256).optional(),
  passThrough: z
    .array(
      z.strictObject({
        provider: z.string(),
        path: z.string().regex(passedPath, 'must be a path such as /v1/ocr or /v1/files/*'),
        methods: z.array(z.enum(passedMethods)).min(1).optional(),
        model: z.string().min(1).max(256).optional(),
        upstream: z.string().optional(),
        runsModels: z.boolean().optional(),
      }),
    )
    .optional(),
})

export type ConfigFile = z.infer<typeof fileSchema>

/** The keys of `defaults`. */
export const defaultNames: readonly string[] = Object.keys(fileSchema.shape.defaults.unwrap().shape)

/** Reads the file at `path`. Unless it was asked for by name, it may be missing. */
export function readConfigFile(path: string, isAskedFor: boolean): ConfigFile {
  if (!existsSync(path)) {
    if (isAskedFor) throw new ConfigError('CONFIG', `the file ${path} does not exist`)
    return {}
  }
  return parseConfigFile(readFileSync(path, 'utf8'), path)
}

export function parseConfigFile(text: string, path: string): ConfigFile {
  let content: unknown
  try {
    content = parse(text)
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''
    throw new ConfigError(path, `is not valid YAML: ${reason.replace(/:$/, '')}`)
  }
  const checked = fileSchema.safeParse(content ?? {})
  if (checked.success) return checked.data
  const [issue] = checked.error.issues
  throw new ConfigError(`${path}: ${pathOf(issue?.path ?? []) || 'top level'}`, explain(issue))
}

function explain(issue: z.core.$ZodIssue | undefined): string {
  if (issue?.code === 'unrecognized_keys') {
    const unknown = `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}`
    return issue.path[0] === 'weights' ? `${unknown}; ${weightedKinds}` : unknown
  }
  if (issue?.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message
  return issue?.message ?? 'is not valid'
}

function isOrigin(text: string): boolean {
  return text === '*' || (URL.canParse(text) && /^https?:/.test(text) && new URL(text).origin === text)
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
