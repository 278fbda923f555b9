/**
 * What wrote a change: a credential, or a part of the program that acts by itself. `unknown` is a credential that is not
 * known.
 */
export const actorKinds = [
  'admin_key',
  'configured_key',
  'verifier_key',
  'session',
  'sign_on',
  'holder',
  'claim',
  'front_end',
  'limit',
  'upkeep',
  'command_line',
  'unknown',
] as const

export interface Actor {
  readonly kind: (typeof actorKinds)[number]
  /** The id of the key, session, user or claim. */
  readonly id?: string
  /** The key's name, or what of the program it was: a command, a task of upkeep, the limit. */
  readonly name?: string
}

/** Who writes, and when: every method of the store that changes what administrators see takes it. */
export interface By {
  /** Epoch milliseconds. */
  readonly now: number
  readonly actor: Actor
  /** The request that asked for it, and the address that it came from. */
  readonly requestId?: string
  readonly address?: string
}

export const changeKinds = [
  'user.created',
  'user.updated',
  'user.disabled',
  'user.enabled',
  'user.removed',
  'user.purged',
  'user.token_rotated',
  'user.token_revealed',
  'user.claim_made',
  'user.claim_used',
  'user.claim_revoked',
  'usage.reset',
  'quota.added',
  'bulk.begun',
  'bulk.undone',
  'admin_key.created',
  'admin_key.rotated',
  'admin_key.deleted',
  'session.opened',
  'session.ended',
  'login.failed',
  'users.exported',
  'second_factor.begun',
  'second_factor.confirmed',
  'second_factor.recovered',
  'second_factor.removed',
  'users.tokens_read',
  'front_end.set',
  'front_end.removed',
] as const

export type ChangeKind = (typeof changeKinds)[number]

/** Fields by name, as JSON; a secret is at most its shown part. */
export type ChangeFields = Readonly<Record<string, unknown>>

/** One change of one object, before it is stored. */
export interface NewChange {
  readonly by: By
  readonly kind: ChangeKind
  /** The id of what was changed. */
  readonly object: string
  /** What was changed, and nothing else: absent where the object was made, or removed. */
  readonly before?: ChangeFields
  readonly after?: ChangeFields
}

/** A change as it is stored. */
export interface StoredChange {
  /** Its place in the order of changes, from 1. */
  readonly seq: number
  readonly at: number
  readonly actor: { readonly kind: string; readonly id?: string; readonly name?: string }
  readonly kind: string
  readonly object: string
  readonly before?: ChangeFields
  readonly after?: ChangeFields
  readonly requestId?: string
  readonly address?: string
}

export interface ChangeFilter {
  /** The id of the key, session or user that wrote it. */
  readonly actor?: string
  readonly actorKind?: string
  readonly object?: string
  readonly kind?: string
  /** Written at this instant or later, and before that one; epoch milliseconds. */
  readonly from?: number
  readonly to?: number
}

/** A page of changes, newest first. */
export interface ChangeQuestion {
  readonly filter: ChangeFilter
  /** Older than the change with this number. */
  readonly before?: number
  readonly limit: number
}

export interface ChangePage {
  readonly changes: readonly StoredChange[]
  /** The last of them, where more follow. */
  readonly next?: number
  /** The numbers of rows that cannot be read, and are left out. */
  readonly unreadable?: readonly string[]
}

/** What a check of the chain of changes has found. */
export type ChainChecked =
  | {
      readonly kind: 'intact'
      readonly count: number
      readonly first?: number
      readonly last?: number
      /** Of them, those that personal data of purged users was taken out of. */
      readonly redacted?: number
    }
  /** The first place where the chain is broken. */
  | {
      readonly kind: 'broken'
      readonly seq: number
      readonly what: 'altered' | 'missing' | 'added' | 'end' | 'key'
    }
