import { maskIssue, type TokenSight } from '#admin/request/token-sight.ts'
import { namedMax, unknownFamily, unknownMembers } from '#admin/wire/unknown-members.ts'
import { mayBeAccessToken } from '#core/access-token.ts'
import type { Policy } from '#core/admission.ts'
import type { Issue } from '#core/errors.ts'
import { type Family, familyNames as namesOf } from '#core/family.ts'
import { issuesMax, issuesUnder } from '#core/issues.ts'
import { pickLimits } from '#core/limits.ts'
import { type Parsed, parseBy } from '#core/parsed.ts'
import { unitsMax } from '#core/units.ts'
import type { UnreadableUser, User } from '#core/user.ts'
import type { UserEdit } from '#core/user-edit.ts'
import { isUserId } from '#core/user-id.ts'
import { isShown } from '#core/user-quotas.ts'
import type { UserRef } from '#core/user-ref.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import { createTurns } from '#lib/turns.ts'
import type { UserWrite } from '#storage/store/users.ts'
import {
  answeredBesides,
  type CreatedAnswer,
  createUserSchemas,
  type PartialAnswer,
  type TemplateInput,
  type UserAnswer,
  type UserInput,
  type UserSchemas,
} from './schemas.ts'

/** Converts users between the wire and the domain, for one configuration of families. */
export interface UserWire {
  readonly schemas: UserSchemas
  readonly familyNames: readonly string[]
  readonly parseEdit: (value: unknown) => Parsed<EditInput>
  /** The new user of a body, which cannot choose the access token. */
  readonly parseNew: (value: unknown) => Parsed<EditInput>
  /** `{users: […]}` as writes in their order, each with its own access token. */
  readonly parseBulk: (
    value: unknown,
    usersMax: number,
    sight: TokenSight,
  ) => Promise<Parsed<BulkInput> | { readonly kind: 'too_many' }>
  /** What new users begin with. */
  readonly toTemplate: (template: TemplateInput) => UserEdit
  readonly toUser: (user: User, sight: TokenSight) => UserAnswer
  /** The answer to creating a user, with the access token. */
  readonly toCreated: (user: User, sight: TokenSight) => CreatedAnswer
}

/** A user as a body describes it. */
interface EditInput {
  readonly edit: UserEdit
  /** The access token in the body; undefined without one. */
  readonly accessToken: string | undefined
  /** Unknown members. */
  readonly ignored: readonly string[]
}

/** A write to the user of an access token. */
type TokenWrite = UserWrite & { readonly ref: UserRef }

interface BulkInput {
  readonly writes: readonly TokenWrite[]
  readonly ignored: readonly string[]
}

/** The parts of the policy that list the families and those to show. */
type ShownPolicy = Pick<Policy, 'families' | 'limits'>

export function createUserWire(families: readonly Family[], limits: Policy['limits'] = {}): UserWire {
  const policy = { families, limits }
  const familyNames = namesOf(families)
  const schemas = createUserSchemas(familyNames, hiddenAtFirst(policy))
  const unknown = unknownFamily(familyNames)
  const fields = Object.keys(schemas.edit.shape)
  const known = {
    edit: new Set([...fields, ...answeredBesides.user]),
    new: new Set(fields.filter((name) => name !== 'token')),
    bulk: new Set(['users', ...answeredBesides.list]),
  }
  function parseEdit(value: unknown, names: ReadonlySet<string>): Parsed<EditInput> {
    const input = parseBy(schemas.edit, value, unknown)
    if (input.kind === 'invalid') return input
    const { token: accessToken } = input.value
    const ignored = unknownMembers(value, names)
    return read({ edit: toEdit(input.value, familyNames), accessToken, ignored })
  }
  function parseWrite(
    value: unknown,
    place: string,
    sight: TokenSight,
  ): Parsed<{ write: TokenWrite; ignored: string[] }> {
    const input = parseEdit(value, known.edit)
    if (input.kind === 'invalid') return { kind: 'invalid', issues: issuesUnder(place, input.issues) }
    const { edit, accessToken = '' } = input.value
    const issues = issuesUnder(`${place}.token`, accessTokenIssues(input.value.accessToken, sight))
    if (issues.length > 0) return { kind: 'invalid', issues }
    const ignored = input.value.ignored.map((name) => `${place}.${name}`)
    return read({ write: { ref: { accessToken }, edit }, ignored })
  }
  function notBulk(value: unknown): readonly Issue[] {
    const bulk = parseBy(schemas.bulk, value, unknown)
    return bulk.kind === 'read' ? [] : bulk.issues
  }

  return {
    schemas,
    familyNames,
    parseEdit: (value) => parseEdit(value, known.edit),
    parseNew: (value) => parseEdit(value, known.new),
    async parseBulk(value, usersMax, sight) {
      if (!isObject(value) || !Array.isArray(value.users)) return { kind: 'invalid', issues: notBulk(value) }
      // Counted before they are checked, so that too many cost nothing.
      if (value.users.length > usersMax) return { kind: 'too_many' }
      const issues: Issue[] = []
      const writes: TokenWrite[] = []
      const ignored = [...unknownMembers(value, known.bulk)]
      const turn = createTurns()
      for (const [index, user] of value.users.entries()) {
        const write = parseWrite(user, `users[${index}]`, sight)
        if (write.kind === 'invalid') issues.push(...write.issues)
        else {
          writes.push(write.value.write)
          if (ignored.length < namedMax) ignored.push(...write.value.ignored)
        }
        // More issues are not returned, and checking a wrong element costs ten times as much as a right one.
        if (issues.length > issuesMax) break
        await turn()
      }
      return issues.length > 0 ? { kind: 'invalid', issues } : read({ writes, ignored })
    },
    toTemplate: (template) => toEdit(template, familyNames),
    toUser: (user, sight) => toUser(user, sight, { familyNames, policy }),
    toCreated: ({ accessToken, id }, { show }) => ({ token: show(accessToken), id }),
  }
}

/** The issues of a text as an access token that is to be written; empty where it is valid. */
export function accessTokenIssues(text: string | undefined, { isMask }: TokenSight): readonly Issue[] {
  if (text === undefined) return [{ path: '', message: 'is required: it names the user' }]
  if (!mayBeAccessToken(text) || !text.isWellFormed()) {
    return [{ path: '', message: 'must be 1 to 512 characters without control characters' }]
  }
  if (isMask(text)) return [{ path: '', message: maskIssue }]
  // A path with this text would name a user by id.
  if (isUserId(text)) return [{ path: '', message: "must not look like a user's id" }]
  return []
}

function toEdit(input: UserInput, familyNames: readonly string[]): UserEdit {
  const limits = pickLimits(input)
  const everyLimit = (): Record<string, number | null> =>
    Object.fromEntries(familyNames.map((family) => [family, null]))
  return present({
    type: input.type,
    nickname: input.nickname,
    addresses: input.ip === null ? [] : input.ip,
    promptCount: isBeyond(input.promptCount) ? undefined : input.promptCount,
    createdAt: input.createdAt,
    lastUsedAt: input.lastUsedAt,
    disabledAt: input.disabledAt,
    disabledReason: input.disabledReason,
    expiresAt: input.expiresAt,
    standing: toStanding(input),
    limits: Object.keys(limits).length > 0 ? limits : undefined,
    quotaLimits:
      input.tokenLimits === null ? everyLimit() : input.tokenLimits && presentEntries(input.tokenLimits),
    quotaUsed: input.tokenCounts && presentEntries(input.tokenCounts, (count) => !isBeyond(count)),
    adminNote: input.adminNote,
    tags: input.tags,
    meta: input.meta,
  })
}

function hiddenAtFirst({ families }: ShownPolicy): readonly string[] {
  return families.flatMap(({ name, isShownOnceUsed }) => (isShownOnceUsed ? [name] : []))
}

function toUser(
  user: User,
  { show }: TokenSight,
  { familyNames, policy }: { readonly familyNames: readonly string[]; readonly policy: ShownPolicy },
): UserAnswer {
  const shown = familyNames.filter((family) => isShown(family, user, policy))
  const quotas = shown.map((family) => ({ family, quota: user.quotas.get(family) }))
  const limits = quotas.flatMap(({ family, quota }) =>
    quota?.limit === undefined ? [] : [[family, quota.limit]],
  )
  return {
    token: show(user.accessToken),
    id: user.id,
    ip: [...user.addresses],
    type: user.type,
    promptCount: user.promptCount,
    tokenLimits: Object.fromEntries(limits),
    tokenCounts: Object.fromEntries(quotas.map(({ family, quota }) => [family, quota?.used ?? 0])),
    createdAt: user.createdAt,
    ...present({
      nickname: user.nickname,
      lastUsedAt: user.lastUsedAt,
      disabledAt: user.disabledAt,
      disabledReason: user.disabledReason,
      expiresAt: user.expiresAt,
      ...pickLimits(user.limits),
      adminNote: user.adminNote,
      tags: user.tags && [...user.tags],
      meta: user.meta,
    }),
  }
}

/** The readable parts of a user whose row is damaged. */
export function toUnreadable(
  { accessToken, isUnreadable: _, ...known }: UnreadableUser,
  { show }: TokenSight,
): PartialAnswer {
  return { ...known, ...present({ token: accessToken === undefined ? undefined : show(accessToken) }) }
}

function isBeyond(count: number | undefined): boolean {
  return count !== undefined && count > unitsMax
}

/** Counts so high that only a sum can reach them. */
function toStanding({ promptCount, tokenCounts = {} }: UserInput): UserEdit['standing'] {
  const quotaUsed = presentEntries<number>(tokenCounts, isBeyond)
  const isAny = isBeyond(promptCount) || Object.keys(quotaUsed).length > 0
  return isAny
    ? present({ promptCount: isBeyond(promptCount) ? promptCount : undefined, quotaUsed })
    : undefined
}

function presentEntries<Value>(
  map: Readonly<Record<string, Value | undefined>>,
  isTaken: (value: Value) => boolean = () => true,
): Record<string, Value> {
  const entries = Object.entries(map).flatMap(([name, value]) =>
    value === undefined || !isTaken(value) ? [] : [[name, value] as const],
  )
  return Object.fromEntries(entries)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
