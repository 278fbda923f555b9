import type { Transaction } from 'kysely'
import type { Policy } from '#core/admission.ts'
import type { By, NewChange } from '#core/change.ts'
import type { Issue } from '#core/errors.ts'
import type { User } from '#core/user.ts'
import { editProfile } from '#core/user-edit.ts'
import { takenDigestIssue, takenIdIssue } from '#core/user-id.ts'
import type { UserText } from '#core/user-text.ts'
import type { Vault } from '#core/vault.ts'
import { copyOf, type UserState, userChange } from '#storage/changes/user-change.ts'
import type { SaveChanges } from '#storage/changes/write.ts'
import type { KeptLookups } from '#storage/keys/kept-lookups.ts'
import type { ManyRows } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { UsersImported, UsersWritten, UserWrite } from '#storage/store/users.ts'
import type { Draft, DraftEditor } from './draft.ts'
import { draftKeyOf, loadDrafts, newDraft, saveDrafts } from './draft-rows.ts'
import { otherTokenOwners } from './old-tokens.ts'
import { countUsedSince } from './recount.ts'
import { viewed } from './rows.ts'
import { takenIds } from './taken-ids.ts'

/** What the writes of users need beside the transaction. */
export interface UserWriting {
  readonly many: ManyRows
  readonly vault: Vault
  readonly kept: KeptLookups
  readonly policy: Policy
  readonly editor: DraftEditor
  /** The name of this process in the entries of adjustments. */
  readonly instance: string
  readonly saveChanges: SaveChanges
  readonly toText: UserText
}

interface OneWrite {
  readonly write: UserWrite
  /** The key of its draft. */
  readonly key: string
  readonly index: number
  readonly now: number
}

type Refused = Exclude<UsersWritten, { readonly kind: 'written' }>

/** The users as they are stored now, which need not be read again. */
export async function applyWrites(
  trx: Transaction<Schema>,
  writing: UserWriting,
  writes: readonly UserWrite[],
  by: By,
): Promise<UsersWritten> {
  const { vault, policy, saveChanges } = writing
  const keys = writes.map(({ ref }) => draftKeyOf(ref, vault))
  const applied = await applyToDrafts(trx, writing, writes, keys, by)
  if ('kind' in applied) return applied
  await saveChanges(trx, applied.changes)
  return { kind: 'written', users: applied.drafts.map((draft) => toWritten(draft, policy, by.now)) }
}

/** The user of a single write to one who is known, or new; else what is wrong with it. */
export function onlyUser(
  result: UsersWritten,
): User | { readonly kind: 'invalid'; readonly issues: readonly Issue[] } {
  if (result.kind === 'invalid') return { kind: 'invalid', issues: result.issues }
  const user = result.kind === 'written' ? result.users[0] : undefined
  if (!user) throw new Error(`a user was not written but ${result.kind}`)
  return user
}

/** The same for a part of an import. */
export async function importWrites(
  trx: Transaction<Schema>,
  writing: UserWriting,
  writes: readonly UserWrite[],
  by: By,
): Promise<UsersImported> {
  const keys = writes.map(({ ref }) => draftKeyOf(ref, writing.vault))
  const applied = await applyToDrafts(trx, writing, writes, keys, by, 'changed')
  if ('kind' in applied) return applied
  await writing.saveChanges(trx, applied.changes)
  const changed = new Set(applied.changes.map(({ object }) => object))
  const seen = new Set<Draft>()
  const effects = applied.drafts.map((draft) => {
    // A second record of one user meets what the first one made of it.
    if (seen.has(draft)) return 'changed'
    seen.add(draft)
    if (draft.isNew) return 'created'
    return changed.has(draft.id) ? 'changed' : 'unchanged'
  })
  return { kind: 'imported', effects }
}

/** What writes have done, in their order, and the changes that are still to be saved. */
interface Applied {
  readonly drafts: readonly Draft[]
  readonly changes: readonly NewChange[]
}

/**
 * Creates or merges users in the order of the writes. Nothing is saved where one of them is refused: the caller rolls
 * back.
 *
 * @param keys the key of each reference
 * @param saved whether a user who is as before is saved as well, which counts the revision on
 */
export async function applyToDrafts(
  trx: Transaction<Schema>,
  writing: UserWriting,
  writes: readonly UserWrite[],
  keys: readonly string[],
  by: By,
  saved: 'all' | 'changed' = 'all',
): Promise<Applied | Refused> {
  const { now } = by
  const drafts = await loadDrafts(
    trx,
    writing,
    writes.map(({ ref }) => ref),
    keys,
    now,
  )
  // Asked within the transaction: another import may have created the user since this one looked. Two that commit at once
  // meet at the index, and the later one is done again.
  const newIds = writes.flatMap(({ newId }) => newId ?? [])
  const taken = await takenIds(trx, writing.many, newIds)
  const digestOwners = await ownersOfDigests(trx, writing, writes, now)
  const touched = new Set<Draft>()
  const before = new Map<Draft, UserState>()
  const order: Draft[] = []
  for (const [index, write] of writes.entries()) {
    const one = { write, key: keys[index] ?? '', index, now }
    const draft = await applyWrite(trx, writing, { drafts, touched, before, taken, digestOwners }, one)
    if ('kind' in draft) return draft
    touched.add(draft)
    order.push(draft)
  }
  const changes: NewChange[] = []
  const unsaved: Draft[] = []
  for (const draft of touched) {
    const change = userChange(before.get(draft), draft, by)
    if (change) changes.push(change)
    if (change || saved === 'all') unsaved.push(draft)
  }
  await saveDrafts(trx, writing, unsaved, now)
  return { drafts: order, changes }
}

interface Drafts {
  readonly drafts: Map<string, Draft>
  readonly touched: ReadonlySet<Draft>
  /** The users as they are stored, before the first edit of each. */
  readonly before: Map<Draft, UserState>
  /** Of the ids for new users, those that no new user may have. */
  readonly taken: ReadonlySet<string>
  /** The ids of the users who have the digests of the writes, or get them. */
  readonly digestOwners: Map<string, string>
}

/** Applies one write to its draft, or says why it is refused. */
async function applyWrite(
  trx: Transaction<Schema>,
  { vault, editor }: UserWriting,
  { drafts, touched, before, taken, digestOwners }: Drafts,
  { write, key, index, now }: OneWrite,
): Promise<Draft | Refused> {
  const { ref, edit, newId } = write
  const known = drafts.get(key)
  if (!known && 'id' in ref) return { kind: 'unknown', index }
  if (isStale(known, write)) return { kind: 'stale', index }
  // A write that names two users: whichever it is meant for, the other one would be changed or left out.
  if (newId !== undefined && newId !== known?.id && (taken.has(newId) || drafts.has(newId)))
    return { kind: 'invalid', index, issues: [takenIdIssue] }
  const edited = editProfile(known?.profile, edit, now)
  if (edited.kind === 'invalid') return { kind: 'invalid', index, issues: edited.issues }
  const { profile } = edited
  const draft = known ?? newDraft(write, key, profile, vault, now)
  drafts.set(key, draft)
  drafts.set(draft.id, draft)
  if (!draft.isNew && !touched.has(draft)) before.set(draft, copyOf(draft))
  if (known)
    await editor.recountIfPeriodChanged(known, profile, now, (id, family, startAt) =>
      countUsedSince(trx, id, family, startAt),
    )
  const digest = digestOf(write)
  if (digest !== undefined) {
    const owner = digestOwners.get(digest)
    if (owner !== undefined && owner !== draft.id)
      return { kind: 'invalid', index, issues: [takenDigestIssue] }
    if (owner === undefined) draft.newDigest = digest
    digestOwners.set(digest, draft.id)
  }
  const issues = editor.applyEdit(draft, edit, profile, now, touched.has(draft))
  return issues.length > 0 ? { kind: 'invalid', index, issues } : draft
}

function digestOf({ ref, tokenDigest }: UserWrite): string | undefined {
  return 'tokenDigest' in ref ? ref.tokenDigest : tokenDigest
}

async function ownersOfDigests(
  trx: Transaction<Schema>,
  writing: UserWriting,
  writes: readonly UserWrite[],
  now: number,
): Promise<Map<string, string>> {
  const digests = writes.flatMap((write) => digestOf(write) ?? [])
  if (digests.length === 0) return new Map()
  const refs = new Map(digests.map((tokenDigest) => [tokenDigest, { tokenDigest }]))
  return new Map(await otherTokenOwners(trx, writing, refs, now))
}

function isStale(known: Draft | undefined, { expectedRevision }: UserWrite): boolean {
  if (expectedRevision === undefined) return false
  return !known || (expectedRevision !== 'any' && known.revision !== expectedRevision)
}

export function toWritten(
  { id, accessToken, profile, quotas, revision }: Draft,
  policy: Policy,
  now: number,
): User {
  const stored = [...quotas.values()].filter(({ isStored, isChanged }) => isStored || isChanged)
  return { ...profile, id, accessToken, quotas: viewed(profile, stored, policy, now), revision }
}
