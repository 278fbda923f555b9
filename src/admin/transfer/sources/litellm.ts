import { namedBy, storedKeyOf } from '#admin/transfer/wire.ts'
import { isTokenDigest } from '#core/access-token.ts'
import type { Issue } from '#core/errors.ts'
import type { Period } from '#core/period.ts'
import { mayBeTag, tagLengthMax, tagsMax } from '#core/tags.ts'
import { present } from '#lib/present.ts'
import {
  budgetMembers,
  type Convert,
  isConversion,
  isTrue,
  nicknameOf,
  numberOf,
  textOf,
  wrong,
} from './source.ts'

type Members = Readonly<Record<string, unknown>>

/**
 * The keys of LiteLLM: the answer of `/key/list?return_full_object=true`, or its table `LiteLLM_VerificationToken` as JSON
 * or CSV. Each has the SHA-256 of the key, in hexadecimal: the key goes on working by it. Limits that the key does not
 * have itself are those of the budget that it is tied to. What has no place here is told as a warning.
 */
export const fromLiteLlm: Convert = (record, parts) => {
  const named = keyOf(textOf(storedKeyOf(record)) ?? '')
  if (named === undefined)
    return wrong(
      'token',
      "must be the SHA-256 of a key, 64 hexadecimal digits, or a key that begins with 'sk-'",
    )
  const budget = objectOf(record.litellm_budget_table)
  const own = (name: string): unknown => (isEmpty(record[name]) ? budget[name] : record[name])
  const figures = ['max_budget', 'rpm_limit', 'max_parallel_requests'] as const
  const unread = figures.find((name) => !isEmpty(own(name)) && numberOf(own(name)) === undefined)
  if (unread !== undefined) return wrong(unread, 'is not a number')
  const spent = Math.max(0, numberOf(record.spend) ?? 0)
  const max = numberOf(own('max_budget'))
  const money = budgetMembers({ max, spent, path: 'max_budget' }, parts)
  if (isConversion(money)) return money
  const times = readTimes(record)
  if ('kind' in times) return times
  const models = modelsOf(record.models)
  const duration = textOf(own('budget_duration'))
  const period = duration === undefined || max === undefined ? undefined : periods[duration]
  const metadata = objectOf(record.metadata)
  const tags = tagsOf(metadata.tags)
  return {
    kind: 'user',
    user: {
      ...named,
      ...present({
        nickname: nicknameOf(record.key_alias) ?? nicknameOf(record.key_name),
        createdAt: times.created_at,
        lastUsedAt: times.last_active,
        expiresAt: times.expires,
        requestsPerMinute: numberOf(own('rpm_limit')),
        concurrentRequests: numberOf(own('max_parallel_requests')),
        allowedModels: models.allowed,
        period: 'tokenLimits' in money ? period : undefined,
        tags: tags.taken.length > 0 ? tags.taken : undefined,
        meta: metaOf(record, metadata),
      }),
      ...(isTrue(record.blocked) && {
        disabledAt: times.updated_at ?? times.created_at ?? 0,
        disabledReason: 'blocked before the import',
      }),
      ...money,
    },
    warnings: [
      ...models.warnings,
      ...tags.warnings,
      ...warningsOf(record, budget, metadata),
      ...('tokenLimits' in money && duration !== undefined && period === undefined
        ? [{ path: 'budget_duration', message: `${duration} is no period here: the count is never reset` }]
        : []),
      ...(max !== undefined && !('tokenLimits' in money)
        ? [{ path: 'max_budget', message: 'is left out, as asked: the user has no such limit here' }]
        : []),
    ],
  }
}

/** Of a key in clear, as very old versions and dumps have it, the key itself. */
function keyOf(stored: string): Members | undefined {
  if (stored.startsWith('sk-')) return namedBy(stored, {})
  const digest = stored.trim().toLowerCase()
  return isTokenDigest(digest) ? { tokenSha256: digest } : undefined
}

/** Durations after which a budget begins anew, as far as there is such a period here. */
const periods: Readonly<Record<string, Period>> = {
  ...{ '1h': 'hourly', '60m': 'hourly', '1d': 'daily', '24h': 'daily', '1w': 'weekly', '7d': 'weekly' },
  ...{ '30d': 'monthly', '31d': 'monthly', '1mo': 'monthly' },
}

const timeNames = ['expires', 'created_at', 'updated_at', 'last_active'] as const
type Times = { readonly [Name in (typeof timeNames)[number]]?: number }

function readTimes(record: Members): Times | ReturnType<typeof wrong> {
  const times = new Map<string, number>()
  for (const name of timeNames) {
    if (isEmpty(record[name])) continue
    const at = instantOf(record[name])
    if (at === undefined) return wrong(name, 'is not a time')
    times.set(name, at)
  }
  return Object.fromEntries(times)
}

/** Without a zone it is UTC, as the database has it. */
const timeForm = /^(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?) ?(Z|[+-]\d{2}(?::?\d{2})?)?$/

function instantOf(value: unknown): number | undefined {
  const [, date, time, zone = 'Z'] = timeForm.exec(typeof value === 'string' ? value.trim() : '') ?? []
  if (date === undefined) return undefined
  const [, hours, minutes = '00'] = /^([+-]\d{2}):?(\d{2})?$/.exec(zone) ?? []
  const at = Date.parse(`${date}T${time}${hours === undefined ? 'Z' : `${hours}:${minutes}`}`)
  return Number.isNaN(at) ? undefined : at
}

const everyModel = ['all-proxy-models', '*']
/** Names that stand for models which another table lists. */
const elsewhere = ['all-team-models', 'no-default-models']

function modelsOf(value: unknown): {
  readonly allowed: readonly string[] | undefined
  readonly warnings: readonly Issue[]
} {
  const names = listOf(value)
  if (names.length === 0 || names.some((name) => everyModel.includes(name)))
    return { allowed: undefined, warnings: [] }
  // A list of which nothing was left would allow everything: such a name stays, and allows no model of that name.
  return {
    allowed: names,
    warnings: names
      .filter((name) => elsewhere.includes(name))
      .map((name) => ({
        path: 'models',
        message: `${name} stands for models of a team or user there: name them in allowedModels`,
      })),
  }
}

function tagsOf(value: unknown): { readonly taken: readonly string[]; readonly warnings: readonly Issue[] } {
  const named = [...new Set(listOf(value).map((tag) => tag.replaceAll(/[,\s]+/g, ' ').trim()))]
  const fit = named.filter((tag) => mayBeTag(tag) && [...tag].length <= tagLengthMax).slice(0, tagsMax)
  const isLess = fit.length < named.length
  const message = `only ${tagsMax} tags of up to ${tagLengthMax} characters fit; all of them stand in meta`
  return { taken: fit, warnings: isLess ? [{ path: 'metadata.tags', message }] : [] }
}

const references = [
  ...(['key_name', 'user_id', 'team_id', 'org_id', 'organization_id', 'project_id', 'agent_id'] as const),
  ...(['budget_id', 'created_by'] as const),
] as const

function metaOf(record: Members, metadata: Members): Members | undefined {
  const named = references.flatMap((name) => {
    const text = textOf(record[name])
    return text === undefined ? [] : [[name, text] as const]
  })
  const meta = { ...Object.fromEntries(named), ...(Object.keys(metadata).length > 0 && { metadata }) }
  return Object.keys(meta).length > 0 ? meta : undefined
}

/** The owner of keys that were made with the master key; it has no limits. */
const ownerOfMaster = 'default_user_id'

const noSuchLimit = 'is no limit here: it is left out'
const left: Readonly<Record<string, string>> = {
  tpm_limit: noSuchLimit,
  tpd_limit: noSuchLimit,
  soft_budget: noSuchLimit,
  model_max_budget: noSuchLimit,
  budget_limits: noSuchLimit,
  budget_fallbacks: 'is left out: there is no such setting of a user',
  rpm_limit_per_model: noSuchLimit,
  tpm_limit_per_model: noSuchLimit,
  team_id: 'the limits of the team do not come along: set those of the user',
  org_id: 'the limits of the organization do not come along: set those of the user',
  organization_id: 'the limits of the organization do not come along: set those of the user',
  project_id: 'the limits of the project do not come along: set those of the user',
  access_group_ids: 'access groups do not come along: name models in allowedModels',
  allowed_routes: 'is left out: every user may use every route',
  allowed_cache_controls: 'is left out: there is no such limit here',
  permissions: 'is left out: there is no such setting of a user',
  object_permission_id: 'is left out: there is no such setting of a user',
  policies: 'is left out: there is no such setting of a user',
  aliases: 'is left out: name aliases in the configuration',
  config: 'is left out: there is no such setting of a user',
  router_settings: 'is left out: there is no such setting of a user',
  auto_rotate: 'is left out: rotate by hand or by the API',
}

function warningsOf(record: Members, budget: Members, metadata: Members): readonly Issue[] {
  const owner = textOf(record.user_id)
  const issues = [
    ...(owner === undefined || owner === ownerOfMaster
      ? []
      : [{ path: 'user_id', message: 'the limits of that user there do not come along: set them here' }]),
    ...['model_rpm_limit', 'model_tpm_limit'].flatMap((name) =>
      isEmpty(metadata[name]) ? [] : [{ path: `metadata.${name}`, message: noSuchLimit }],
    ),
    ...leftOut(record, budget),
  ]
  const isApart = textOf(record.budget_id) !== undefined && Object.keys(budget).length === 0
  if (!isApart) return issues
  return [...issues, { path: 'budget_id', message: 'the limits of that budget are not in this file' }]
}

function leftOut(record: Members, budget: Members): readonly Issue[] {
  return Object.entries(left).flatMap(([name, message]) =>
    isEmpty(record[name]) && isEmpty(budget[name]) ? [] : [{ path: name, message }],
  )
}

/** Whether a member says nothing: databases and their dumps write that in several ways. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true
  if (typeof value === 'string') return ['{}', '[]', 'f', 'false', 'null'].includes(value.trim())
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** An object, also as the text that a CSV file has. */
function objectOf(value: unknown): Members {
  const read = typeof value === 'string' ? parsed(value) : value
  return typeof read === 'object' && read !== null && !Array.isArray(read) ? { ...read } : {}
}

/** A list of texts: of JSON, or as PostgreSQL writes an array into a CSV file. */
function listOf(value: unknown): readonly string[] {
  const read = typeof value === 'string' ? (parsed(value) ?? arrayOf(value)) : value
  if (!Array.isArray(read)) return []
  return [...new Set(read.filter((item) => typeof item === 'string' && item !== ''))]
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** `{gpt-4o,"a b"}`: the elements of an array of texts (PostgreSQL's manual, 8.15.6). */
function arrayOf(text: string): readonly string[] | undefined {
  const inner = /^\{(.*)\}$/s.exec(text.trim())?.[1]
  if (inner === undefined) return undefined
  return [...inner.matchAll(/"((?:[^"\\]|\\.)*)"|([^,"]+)/gs)].map(
    ([, quoted, bare = '']) => quoted?.replaceAll(/\\(.)/gs, '$1') ?? bare,
  )
}
