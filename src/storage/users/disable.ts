import { sql, type Transaction } from 'kysely'
import type { By, NewChange } from '#core/change.ts'
import type { User } from '#core/user.ts'
import { disableEdit, editProfile } from '#core/user-edit.ts'
import type { UserRef } from '#core/user-ref.ts'
import { lookupsOf, type Vault } from '#core/vault.ts'
import { copyOf, userChange } from '#storage/changes/user-change.ts'
import { isDamage } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { toWritten, type UserWriting } from './apply-writes.ts'
import type { Draft } from './draft.ts'
import { loadDraft, saveDrafts } from './draft-rows.ts'
import { otherTokenOwner } from './old-tokens.ts'

/** Disables a user; undefined where the user does not exist. */
export type Disable = (ref: UserRef, reason: string | undefined, by: By) => Promise<Disabled | undefined>

/** The user as it is stored now. Where the row cannot be read, the user is disabled all the same. */
type Disabled =
  | { readonly kind: 'user'; readonly user: User }
  | { readonly kind: 'unreadable'; readonly id: string }

export async function disable(
  trx: Transaction<Schema>,
  writing: UserWriting,
  ...[ref, reason, by]: Parameters<Disable>
): Promise<Disabled | undefined> {
  const { now } = by
  const draft = await readableDraft(trx, writing, ref, now)
  if (!draft) return undefined
  const edit = draft === 'damaged' ? {} : disableEdit(draft.profile, reason, now)
  const edited = draft === 'damaged' ? undefined : editProfile(draft.profile, edit, now)
  if (draft === 'damaged' || edited?.kind !== 'profile') {
    const id = await disableRow(trx, writing, ref, reason, by)
    return id === undefined ? undefined : { kind: 'unreadable', id }
  }
  const before = copyOf(draft)
  writing.editor.applyEdit(draft, edit, edited.profile, now, false)
  await saveDrafts(trx, writing, [draft], now)
  const change = userChange(before, draft, by)
  if (change) await writing.saveChanges(trx, [change])
  return { kind: 'user', user: toWritten(draft, writing.policy, now) }
}

async function readableDraft(
  trx: Transaction<Schema>,
  writing: UserWriting,
  ref: UserRef,
  now: number,
): Promise<Draft | 'damaged' | undefined> {
  try {
    return await loadDraft(trx, writing, ref, now)
  } catch (error) {
    if (!isDamage(error)) throw error
    return 'damaged'
  }
}

/** What blocks a user. The time is read as text, which any stored value can be. */
const block = [sql<string | null>`cast(disabled_at as text)`.as('at'), 'disabled_reason as reason'] as const

interface Block {
  readonly at: string | null
  readonly reason: string | null
}

/** By the columns of the block alone: a user must be disabled also where another column cannot be read. */
async function disableRow(
  trx: Transaction<Schema>,
  { vault, saveChanges }: UserWriting,
  ...[ref, reason, by]: Parameters<Disable>
): Promise<string | undefined> {
  const { now } = by
  const id = 'id' in ref ? ref.id : await ownerOf(trx, vault, ref.accessToken, now)
  if (id === undefined) return undefined
  const before = await trx
    .selectFrom('users')
    .select(['id', ...block])
    .where('id', '=', id)
    .forUpdate()
    .executeTakeFirst()
  if (!before) return undefined
  const after = await trx
    .updateTable('users')
    .set((e) => ({
      disabled_at: e.case().when('disabled_at', '<=', now).then(e.ref('disabled_at')).else(now).end(),
      ...(reason !== undefined && { disabled_reason: reason }),
      revision: e('revision', '+', 1),
    }))
    .where('id', '=', before.id)
    .returning(block)
    .executeTakeFirstOrThrow()
  await saveChanges(trx, changesOf(before, after, { by, object: before.id }))
  return before.id
}

function changesOf(
  before: Block,
  after: Block,
  whose: Pick<NewChange, 'by' | 'object'>,
): readonly NewChange[] {
  const fields = [
    { name: 'disabledAt', was: timeOf(before.at), is: timeOf(after.at) },
    { name: 'disabledReason', was: before.reason, is: after.reason },
  ].filter(({ was, is }) => was !== is)
  if (fields.length === 0) return []
  const change: NewChange = {
    ...whose,
    kind: before.at === null ? 'user.disabled' : 'user.updated',
    before: Object.fromEntries(fields.map(({ name, was }) => [name, was])),
    after: Object.fromEntries(fields.map(({ name, is }) => [name, is])),
  }
  return [change]
}

/** Epoch milliseconds; the text itself where it is no such number. */
function timeOf(text: string | null): number | string | null {
  return text !== null && /^-?\d{1,15}$/.test(text) ? Number(text) : text
}

async function ownerOf(
  trx: Transaction<Schema>,
  vault: Vault,
  accessToken: string,
  now: number,
): Promise<string | undefined> {
  const query = trx.selectFrom('users').select('id')
  const present = await query.where('token_hmac', 'in', lookupsOf(vault, accessToken)).executeTakeFirst()
  return present?.id ?? (await otherTokenOwner(trx, vault, accessToken, now))?.user_id
}
