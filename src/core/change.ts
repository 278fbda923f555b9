/** What wrote a change: a credential, or a part of the program that acts by itself. */
export const actorKinds = [
  'admin_key',
  'configured_key',
  'verifier_key',
  'session',
  'holder',
  'limit',
  'upkeep',
  'command_line',
] as const

export interface Actor {
  readonly kind: (typeof actorKinds)[number]
  /** The id of the key, session or user. */
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
  'user.token_rotated',
  'usage.reset',
  'quota.added',
  'bulk.begun',
  'bulk.undone',
  'admin_key.created',
  'admin_key.rotated',
  'admin_key.deleted',
  'session.opened',
  'session.ended',
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
