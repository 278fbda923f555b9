import { periods } from './period.ts'

/**
 * The limits of a user beside the quota, one row for each. From a row come the type of its value, its field in the admin
 * API, its key under `defaults` in the configuration, its column, and its words in `/openapi.json` and in the
 * documents. Where it refuses is in `admission/`; `test/limits.test.ts` fails for a row that refuses nothing.
 */
interface LimitBase {
  /** Its column in `users`. */
  readonly column: string
  /** Whether it applies to special users: `exempt`: not, `held`: as to every user. */
  readonly special: 'exempt' | 'held'
  /** What it limits, or how it changes another limit: one sentence for all documents. */
  readonly what: string
  /** What applies where neither the user nor the configuration says anything. */
  readonly byDefault: string
}

/** A limit on a number: 0 allows nothing, -1 is unlimited. */
export interface CountRow extends LimitBase {
  readonly kind: 'count'
  /** The code of the refusal. */
  readonly refusal: string
  /** What a refusal says of it: what counts towards it, which further members there are, and `retry-after`. */
  readonly counted: { readonly used: string; readonly more: string; readonly retry: string }
}

/** A list of what is allowed; an empty one allows everything. */
export interface ListRow extends LimitBase {
  readonly kind: 'networks' | 'models'
  readonly refusal: string
}

/** How another limit works: it refuses nothing itself. */
interface DaysRow extends LimitBase {
  readonly kind: 'days'
}

interface ChoiceRow extends LimitBase {
  readonly kind: 'choice'
  readonly choices: readonly string[]
}

export type LimitRow = CountRow | ListRow | DaysRow | ChoiceRow

const userLimits = {
  requestsPerMinute: {
    column: 'requests_per_minute',
    kind: 'count',
    special: 'exempt',
    what: 'Requests per minute: a burst of a whole minute, then one request each 60 s / limit.',
    byDefault: 'unlimited',
    refusal: 'rate_limited',
    counted: {
      used: 'the whole limit',
      more: '`resetAt`, when the whole burst is there again; absent with the limit 0',
      retry: 'until the next request fits; none with the limit 0',
    },
  },
  concurrentRequests: {
    column: 'concurrent_requests',
    kind: 'count',
    special: 'exempt',
    what: 'Requests that may run at once, streams included.',
    byDefault: 'unlimited',
    refusal: 'concurrency_limited',
    counted: { used: 'requests that run', more: '', retry: '1; none with the limit 0' },
  },
  maxIps: {
    column: 'max_ips',
    kind: 'count',
    special: 'exempt',
    what: 'IPv4 addresses and IPv6 /64s the user may come from; further ones are refused.',
    byDefault: 'unlimited',
    refusal: 'address_limit',
    counted: { used: 'addresses that count', more: '', retry: 'none' },
  },
  ipWindowDays: {
    column: 'ip_window_days',
    kind: 'days',
    special: 'exempt',
    what: 'Days after which an address that was not seen again no longer counts towards `maxIps`.',
    byDefault: 'never',
  },
  ipLimitAction: {
    column: 'ip_limit_action',
    kind: 'choice',
    choices: ['refuse', 'disable'],
    special: 'exempt',
    what: 'At an address beyond `maxIps`: `refuse` the request, or `disable` the user as well.',
    byDefault: 'refuse',
  },
  allowedNetworks: {
    column: 'allowed_networks',
    kind: 'networks',
    special: 'held',
    what: 'Addresses or networks the user may come from; that of this machine has to be named as well (`127.0.0.0/8`).',
    byDefault: 'from anywhere',
    refusal: 'address_not_allowed',
  },
  allowedModels: {
    column: 'allowed_models',
    kind: 'models',
    special: 'held',
    what: 'Globs over models, or names of families.',
    byDefault: 'every model',
    refusal: 'model_not_allowed',
  },
  period: {
    column: 'period',
    kind: 'choice',
    choices: periods,
    special: 'exempt',
    what: "After which the quota counts from zero again, in the configuration's time zone.",
    byDefault: 'none',
  },
} as const satisfies Readonly<Record<string, LimitRow>>

type Rows = typeof userLimits
export type LimitName = keyof Rows

/** The limits on a number. */
export type CountName = { [Name in LimitName]: Rows[Name]['kind'] extends 'count' ? Name : never }[LimitName]

interface ValueOfKind {
  readonly count: number
  readonly days: number
  readonly networks: readonly string[]
  readonly models: readonly string[]
}

type ValueOf<Row extends LimitRow> = Row extends { readonly choices: readonly (infer Choice)[] }
  ? Choice
  : ValueOfKind[Exclude<Row['kind'], 'choice'>]

/** The codes of their refusals. */
export type LimitRefusal = Extract<Rows[LimitName], { readonly refusal: string }>['refusal']

export type LimitValue<Name extends LimitName> = ValueOf<Rows[Name]>

/** A user's own limits, or the configuration's defaults. Absent: what applies by default. */
export type UserLimits = { readonly [Name in LimitName]?: LimitValue<Name> }

/** A row of `users`, as far as limits go: lists are stored as JSON. */
export type LimitColumns = {
  [Name in LimitName as Rows[Name]['column']]: (LimitValue<Name> extends number ? number : string) | null
}

/** The rows with their names, in the order of the table. */
export const limitRows: readonly (readonly [LimitName, LimitRow])[] =
  // The table's own keys, which the type forgets.
  Object.entries(userLimits) as [LimitName, LimitRow][]

/** The limits among an object's members, in the order of the table; what is undefined is left out. */
export function pickLimits<Values extends { readonly [Name in LimitName]?: unknown }>(
  values: Values,
): { [Name in LimitName]?: Exclude<Values[Name], undefined> } {
  const picked: Partial<Record<LimitName, unknown>> = {}
  for (const [name] of limitRows) if (values[name] !== undefined) picked[name] = values[name]
  // Nothing but what is undefined was left out.
  return picked as { [Name in LimitName]?: Exclude<Values[Name], undefined> }
}

/** What a number or a list means, for documents. */
export function meaningOf({ kind }: LimitRow): string {
  switch (kind) {
    case 'count':
      return '0 allows nothing, -1 is unlimited.'
    case 'days':
      return 'At least 1, or -1: never.'
    case 'networks':
    case 'models':
      return 'An empty list allows all.'
    case 'choice':
      return ''
  }
}
