import fc from 'fast-check'
import type { UserEdit } from '#core/user-edit.ts'

/** Random histories of an account, as data. Indexes are taken modulo what is there when a command runs. */
export interface SettleDraw {
  readonly which: number
  readonly style: 'exact' | 'beyond' | 'less' | 'nothing' | 'released' | 'repeated' | 'unknown' | 'late'
  readonly extra: number
  /** What other families' models used for it. */
  readonly beside: readonly { readonly family: string; readonly units: number }[]
}

export interface AskDraw {
  /** Beyond the last user: an access token that nobody has. */
  readonly user: number
  readonly address: string
  /** Undefined asks only whether the holder may come in. */
  readonly units:
    | {
        readonly family: string | undefined
        readonly input: number
        readonly output: number | undefined
        readonly choices: number
        readonly mayLower: boolean
        readonly leastCap: number
      }
    | undefined
  readonly isFree: boolean
  /** `pass`: let in without units; `dry`: only asked; a number: the entry is a lease's for so many milliseconds. */
  readonly mode: 'plain' | 'pass' | 'dry' | number
}

export interface EventDraw {
  readonly id: number
  readonly user: number
  readonly family: string
  readonly units: number
}

/** An edit whose times are relative to the moment at which it is made. */
export type EditDraw = Omit<UserEdit, 'disabledAt' | 'expiresAt'> & {
  readonly disabledIn?: number | null
  readonly expiresIn?: number | null
}

export type Command =
  | {
      readonly kind: 'batch'
      readonly via: 'store' | 'ledger'
      readonly settles: readonly SettleDraw[]
      readonly asks: readonly AskDraw[]
      readonly events: readonly EventDraw[]
    }
  | { readonly kind: 'edit'; readonly edits: readonly { readonly user: number; readonly edit: EditDraw }[] }
  | { readonly kind: 'disable'; readonly user: number }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'clock back'; readonly ms: number }
  /** Waits as long as the last refusal for the rate said, and asks again. */
  | { readonly kind: 'come back' }
  | { readonly kind: 'add'; readonly user: number; readonly family: string; readonly units: number }
  | { readonly kind: 'renew'; readonly which: number; readonly ms: number }
  /** Closes what leases have left; as a living process does now and then. */
  | { readonly kind: 'sweep' }
  /** Gathers minutes into hours. */
  | { readonly kind: 'gather' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'audit' }

export interface History {
  readonly policy: number
  readonly users: readonly EditDraw[]
  readonly commands: readonly Command[]
}

export const families = ['claude', 'gpt4'] as const
export const usersMax = 3

const { constant, constantFrom, integer, nat, record, array, oneof } = fc
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

const settle: fc.Arbitrary<SettleDraw> = record({
  which: nat(30),
  style: constantFrom(
    'exact',
    'exact',
    'beyond',
    'less',
    'nothing',
    'released',
    'repeated',
    'unknown',
    'late',
  ),
  extra: nat(120),
  beside: oneof(
    { weight: 4, arbitrary: constant([]) },
    {
      weight: 1,
      arbitrary: array(record({ family: constantFrom(...families), units: nat(90) }), { maxLength: 3 }),
    },
  ),
})

const address = oneof(
  { weight: 18, arbitrary: constant('192.0.2.1') },
  { weight: 2, arbitrary: constant('198.51.100.9') },
  { weight: 2, arbitrary: constantFrom('2001:db8:1:1::5', '2001:db8:1:1:ffff::1') },
)
const user = oneof({ weight: 20, arbitrary: nat(usersMax - 1) }, { weight: 1, arbitrary: constant(usersMax) })

const ask: fc.Arbitrary<AskDraw> = record({
  user,
  address,
  units: oneof(
    {
      weight: 20,
      arbitrary: record({
        family: oneof(
          { weight: 30, arbitrary: constantFrom(...families) },
          { weight: 1, arbitrary: constant(undefined) },
        ),
        input: oneof(nat(40), nat(120), constant(0)),
        output: oneof(nat(100), constant(undefined)),
        choices: oneof(
          { weight: 3, arbitrary: constant(1) },
          { weight: 1, arbitrary: integer({ min: 2, max: 5 }) },
        ),
        mayLower: fc.boolean(),
        leastCap: oneof(
          { weight: 5, arbitrary: constant(1) },
          { weight: 1, arbitrary: integer({ min: 2, max: 60 }) },
        ),
      }),
    },
    { weight: 1, arbitrary: constant(undefined) },
  ),
  isFree: fc.boolean().map((is) => is),
  mode: oneof(
    { weight: 12, arbitrary: constant('plain' as const) },
    { weight: 2, arbitrary: constantFrom('pass' as const, 'dry' as const) },
    { weight: 2, arbitrary: oneof(nat(3 * minute), nat(2 * hour)) },
  ),
}).map((drawn) => ({ ...drawn, isFree: drawn.isFree && drawn.units?.input === 0 }))

const limit = oneof(nat(400), nat(60), constant(-1), constant(null))
const map = <T>(value: fc.Arbitrary<T>) =>
  record({ claude: value, gpt4: value }, { requiredKeys: [] }) as fc.Arbitrary<Record<string, T>>
const soon = oneof(constant(null), integer({ min: -hour, max: 2 * hour }))

const editFields = {
  type: constantFrom('normal' as const, 'normal' as const, 'special' as const, 'temporary' as const),
  disabledIn: oneof({ weight: 2, arbitrary: constant(null) }, { weight: 1, arbitrary: soon }),
  expiresIn: oneof({ weight: 2, arbitrary: constant(null) }, { weight: 1, arbitrary: soon }),
  quotaLimits: map(limit),
  quotaUsed: map(oneof(constant(0), nat(200))),
  quotaReset: constantFrom('all' as const, ['claude'], ['claude', 'gpt4']),
  limits: record(
    {
      concurrentRequests: constantFrom(0, 1, 2, 4, -1, null),
      // Divisors of a minute: the pace is whole milliseconds, and no rounding decides.
      requestsPerMinute: constantFrom(0, 1, 2, 3, 5, 10, -1, null),
      period: constantFrom(
        'none' as const,
        'hourly' as const,
        'daily' as const,
        'weekly' as const,
        'monthly' as const,
        null,
      ),
      maxIps: constantFrom(0, 1, 1, 2, -1, null),
      ipWindowDays: constantFrom(1, 7, -1, null),
      ipLimitAction: constantFrom('refuse' as const, 'disable' as const, null),
      allowedNetworks: constantFrom(['192.0.2.1/32'], null),
      allowedModels: constantFrom(['claude'], ['claude', 'gpt4'], null),
    },
    { requiredKeys: [] },
  ),
  promptCount: nat(50),
}

/** Most edits name one thing; those of all things at once would hide each other. */
const edit: fc.Arbitrary<EditDraw> = oneof(
  { weight: 3, arbitrary: record({ quotaLimits: editFields.quotaLimits }) },
  { weight: 2, arbitrary: record({ quotaUsed: editFields.quotaUsed }) },
  { weight: 1, arbitrary: record({ quotaReset: editFields.quotaReset }) },
  { weight: 1, arbitrary: record({ type: editFields.type }) },
  { weight: 2, arbitrary: record({ limits: editFields.limits }) },
  { weight: 1, arbitrary: record({ disabledIn: editFields.disabledIn }) },
  { weight: 1, arbitrary: record({ expiresIn: editFields.expiresIn }) },
  { weight: 1, arbitrary: record(editFields, { requiredKeys: [] }) },
)

/** Who is to live: with a quota, mostly, and sometimes with more. */
const firstEdit: fc.Arbitrary<EditDraw> = record({
  quotaLimits: map(limit),
  limits: oneof(
    { weight: 2, arbitrary: record({ period: editFields.limits.map(({ period }) => period ?? null) }) },
    { weight: 1, arbitrary: editFields.limits },
  ),
})

const steps = oneof(nat(2000), nat(2 * minute), constantFrom(hour, day, 8 * day, 32 * day), nat(3 * hour))

const command: fc.Arbitrary<Command> = oneof(
  {
    weight: 24,
    arbitrary: record({
      kind: constant('batch' as const),
      via: constantFrom('store' as const, 'ledger' as const),
      settles: array(settle, { maxLength: 4 }),
      asks: array(ask, { maxLength: 7 }),
      events: oneof(
        { weight: 5, arbitrary: constant([]) },
        {
          weight: 1,
          arbitrary: array(
            record({ id: nat(9), user: nat(usersMax), family: constantFrom(...families), units: nat(90) }),
            { maxLength: 4 },
          ),
        },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: record({
      kind: constant('add' as const),
      user: nat(usersMax - 1),
      family: constantFrom(...families),
      units: oneof(nat(200), integer({ min: -150, max: 0 })),
    }),
  },
  {
    weight: 1,
    arbitrary: record({ kind: constant('renew' as const), which: nat(20), ms: nat(hour) }),
  },
  { weight: 2, arbitrary: constantFrom({ kind: 'sweep' as const }, { kind: 'gather' as const }) },
  {
    weight: 8,
    arbitrary: record({
      kind: constant('edit' as const),
      edits: array(record({ user: nat(usersMax - 1), edit }), { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: record({ kind: constant('disable' as const), user: nat(usersMax - 1) }) },
  { weight: 6, arbitrary: record({ kind: constant('wait' as const), ms: steps }) },
  {
    weight: 2,
    arbitrary: record({ kind: constant('clock back' as const), ms: oneof(nat(5000), nat(hour)) }),
  },
  { weight: 2, arbitrary: constant({ kind: 'come back' as const }) },
  { weight: 1, arbitrary: constant({ kind: 'audit' as const }) },
)

const withCrash = oneof(
  { weight: 16, arbitrary: command },
  { weight: 1, arbitrary: constant({ kind: 'crash' as const }) },
)

/** One in nine crashes now and then: to open a store again costs as much as fifty commands. */
export const history: fc.Arbitrary<History> = record({
  policy: nat(2),
  users: array(firstEdit, { minLength: usersMax, maxLength: usersMax }),
  commands: oneof(
    { weight: 8, arbitrary: array(command, { minLength: 1, maxLength: 30, size: 'max' }) },
    { weight: 1, arbitrary: array(withCrash, { minLength: 1, maxLength: 30, size: 'max' }) },
  ),
})

/** What clients and an administrator do at the same time, each at a pace of its own. */
export interface Crowd {
  readonly limit: number
  readonly clients: readonly {
    readonly turns: number
    readonly user: number
    readonly input: number
    readonly used: number
    readonly style: 'settled' | 'released'
  }[]
  readonly edits: readonly { readonly turns: number; readonly user: number; readonly edit: EditDraw }[]
}

export const crowd: fc.Arbitrary<Crowd> = record({
  limit: nat(600),
  clients: array(
    record({
      turns: nat(6),
      user: nat(1),
      input: integer({ min: 1, max: 60 }),
      used: nat(90),
      style: constantFrom('settled' as const, 'settled' as const, 'released' as const),
    }),
    { minLength: 10, maxLength: 60, size: 'max' },
  ),
  edits: array(
    record({
      turns: nat(8),
      user: nat(1),
      edit: oneof(
        record({ quotaUsed: editFields.quotaUsed }),
        record({ limits: record({ concurrentRequests: constantFrom(1, 3, null) }) }),
        record({ promptCount: nat(9) }),
      ),
    }),
    { maxLength: 8, size: 'max' },
  ),
})
