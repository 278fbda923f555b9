import type { Transaction } from 'kysely'
import { maskOf } from '#core/access-token.ts'
import type { By, NewChange } from '#core/change.ts'
import { chunksOf } from '#storage/many-rows.ts'
import type { Schema } from '#storage/schema/tables.ts'
import type { UserTextsWritten, UserWrite } from '#storage/store/users.ts'
import { applyToDrafts, toWritten, type UserWriting } from './apply-writes.ts'
import { draftKeyOf, lockUsers } from './draft-rows.ts'

/**
 * Users in one part of a bulk: what is made of a part for its texts and rows is garbage before the next one begins.
 * With all of ten thousand users at once, most of the time goes to moving them through the collector's generations.
 */
const usersInPart = 200

/** Writes users in one transaction and answers them as text. */
export async function applyWritesAsText(
  trx: Transaction<Schema>,
  writing: UserWriting,
  writes: readonly UserWrite[],
  by: By,
  isMasked: boolean,
): Promise<UserTextsWritten> {
  const { vault, policy, toText, saveChanges } = writing
  const keys = writes.map(({ ref }) => draftKeyOf(ref, vault))
  // One user who is named twice is one draft, which is saved once and whose text holds both edits.
  const inPart = new Set(keys).size < keys.length ? writes.length : usersInPart
  if (writes.length > inPart)
    await lockUsers(
      trx,
      writing,
      writes.map(({ ref }) => ref),
      keys,
    )
  const texts: Uint8Array[] = []
  const changes: NewChange[] = []
  for (const [number, part] of chunksOf(writes, inPart).entries()) {
    const first = number * inPart
    const applied = await applyToDrafts(trx, writing, part, keys.slice(first, first + part.length), by)
    if ('kind' in applied) return { ...applied, index: applied.index + first }
    const users = applied.drafts.map((draft) => {
      const user = toWritten(draft, policy, by.now)
      return toText(user, isMasked ? maskOf(user.accessToken) : user.accessToken)
    })
    texts.push(Buffer.from(`${number === 0 ? '' : ','}${users.join(',')}`))
    changes.push(...applied.changes)
  }
  // Last: it locks the head of the changes, for which every other write waits.
  await saveChanges(trx, changes)
  return { kind: 'written', text: Buffer.concat(texts), count: writes.length }
}
