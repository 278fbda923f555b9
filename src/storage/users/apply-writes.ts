import type { Transaction } from 'kysely'
import type { Policy } from '#core/admission.ts'
import { editProfile } from '#core/user-edit.ts'
import type { Vault } from '#core/vault.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { UsersWritten, UserWrite } from '#storage/store.ts'
import type { Draft, DraftEditor } from './draft.ts'
import { draftKeyOf, loadDrafts, newDraft, saveDrafts, usersAtOnce } from './draft-rows.ts'
import { chunksOf } from './quota-changes.ts'
import { usersOf } from './read.ts'
import { countUsedSince } from './recount.ts'
import type { StoredUser } from './rows.ts'

/** What the writes of users need beside the transaction. */
export interface UserWriting {
  readonly vault: Vault
  readonly policy: Policy
  readonly editor: DraftEditor
  /** The name of this process in the entries of adjustments. */
  readonly instance: string
  /** Tells other processes about changed users when the transaction commits. */
  readonly announce: ((trx: Transaction<Schema>, ids: readonly string[]) => Promise<void>) | undefined
}

type Refused = Exclude<UsersWritten, { readonly kind: 'written' }>

/**
 * Creates or merges users in the order of the writes. Nothing is saved where one of them is refused: the caller rolls
 * back.
 */
export async function applyWrites(
  trx: Transaction<Schema>,
  writing: UserWriting,
  writes: readonly UserWrite[],
  now: number,
): Promise<UsersWritten> {
  const { vault, policy } = writing
  const refs = writes.map(({ ref }) => ref)
  const drafts = await loadDrafts(trx, vault, refs)
  const touched = new Set<Draft>()
  const order: Draft[] = []
  for (const [index, write] of writes.entries()) {
    const draft = await applyWrite(trx, writing, { drafts, touched }, { write, index, now })
    if ('kind' in draft) return draft
    touched.add(draft)
    order.push(draft)
  }
  await saveDrafts(trx, [...touched], writing.instance, now)
  const known = [...touched].flatMap(({ id, isNew }) => (isNew ? [] : [id]))
  if (known.length > 0) await writing.announce?.(trx, known)
  const rows = await rowsById(
    trx,
    [...touched].map((draft) => draft.id),
  )
  const users = await usersOf(trx, rows, { vault, policy, now })
  const byId = new Map(users.map((user) => [user.id, user]))
  return { kind: 'written', users: order.flatMap((draft) => byId.get(draft.id) ?? []) }
}

/** Applies one write to its draft, or says why it is refused. */
async function applyWrite(
  trx: Transaction<Schema>,
  { vault, editor }: UserWriting,
  { drafts, touched }: { readonly drafts: Map<string, Draft>; readonly touched: ReadonlySet<Draft> },
  { write, index, now }: { readonly write: UserWrite; readonly index: number; readonly now: number },
): Promise<Draft | Refused> {
  const { ref, edit } = write
  const key = draftKeyOf(ref, vault)
  const known = drafts.get(key)
  if (!known && 'id' in ref) return { kind: 'unknown', index }
  if (isStale(known, write)) return { kind: 'stale', index }
  const edited = editProfile(known?.profile, edit, now)
  if (edited.kind === 'invalid') return { kind: 'invalid', index, issues: edited.issues }
  const { profile } = edited
  const draft = known ?? newDraft(ref, profile, vault, now)
  drafts.set(key, draft)
  drafts.set(draft.id, draft)
  if (known)
    await editor.recountIfPeriodChanged(known, profile, now, (id, family, startAt) =>
      countUsedSince(trx, id, family, startAt),
    )
  const issues = editor.applyEdit(draft, edit, profile, now, touched.has(draft))
  return issues.length > 0 ? { kind: 'invalid', index, issues } : draft
}

function isStale(known: Draft | undefined, { expectedRevision }: UserWrite): boolean {
  if (expectedRevision === undefined) return false
  return !known || (expectedRevision !== 'any' && known.revision !== expectedRevision)
}

async function rowsById(trx: Transaction<Schema>, ids: readonly string[]): Promise<readonly StoredUser[]> {
  const rows: StoredUser[] = []
  for (const chunk of chunksOf(ids, usersAtOnce)) {
    rows.push(...(await trx.selectFrom('users').selectAll().where('id', 'in', chunk).execute()))
  }
  return rows
}
