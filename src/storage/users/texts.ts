import type { Kysely } from 'kysely'
import { maskOf } from '#core/access-token.ts'
import type { Policy } from '#core/admission.ts'
import type { UserTextRequest, UserTexts } from '#core/user-list.ts'
import { createUserText } from '#core/user-text.ts'
import { rememberOpened, type Vault } from '#core/vault.ts'
import { makeRoom } from '#lib/make-room.ts'
import type { ManyRows } from '#storage/many-rows.ts'
import { readEach } from '#storage/schema/columns.ts'
import type { Schema } from '#storage/schema/tables.ts'
import { cursorAt, readPage } from './page.ts'
import { readUserParts } from './parts.ts'
import { toUser } from './rows.ts'

/** Lists users as text, in the order of creation. */
export interface UserTextLister {
  readonly list: (request: UserTextRequest) => Promise<UserTexts>
}

/** Access tokens that stay opened for the next list: 30 MB of them at most. */
const openedMax = 100_000

/** Pages that are kept for other lists that are read at the same time: some 5 MB of text. */
const pagesMax = 16
/** How old a page may be, beside that nothing was written since: a quota's period may end meanwhile. */
const pageMsMax = 1_000

interface KeptPage {
  readonly version: unknown
  readonly now: number
  readonly page: UserTexts
}

export function createUserTexts(
  db: Kysely<Schema>,
  many: ManyRows,
  vault: Vault,
  policy: Policy,
): UserTextLister {
  const toText = createUserText(policy)
  const opening = rememberOpened(vault, openedMax)
  const kept = new Map<string, KeptPage>()

  async function read({ limit, after, now, isMasked }: UserTextRequest): Promise<UserTexts> {
    const request = { limit, now, ...(after && { after }) }
    const rows = await readPage(db, policy, request)
    const those = rows.length > limit ? rows.slice(0, limit) : rows
    const parts = await readUserParts(
      db,
      many,
      those.map(({ id }) => id),
    )
    const known = { vault: opening, policy, now }
    const { items, unreadable } = readEach(those, (row) => {
      const user = toUser(row, parts.quotasOf(row.id), parts.addressesOf(row.id), known)
      return toText(user, isMasked ? maskOf(user.accessToken) : user.accessToken)
    })
    const last = those.at(-1)
    const next = rows.length > limit && last ? cursorAt(last, request) : undefined
    return {
      text: Buffer.from(items.map((item) => `,${item}`).join('')),
      count: items.length,
      ...(unreadable.length > 0 && { unreadable }),
      ...(next && { next }),
    }
  }

  return {
    async list(request) {
      // Taken before the rows are read: what is written meanwhile makes the page an old one.
      const version = many.version?.()
      if (version === undefined) return read(request)
      const { now, after, ...more } = request
      const key = JSON.stringify([after, more])
      const same = kept.get(key)
      if (same?.version === version && Math.abs(now - same.now) < pageMsMax) return same.page
      const page = await read(request)
      kept.delete(key)
      makeRoom(kept, pagesMax)
      kept.set(key, { version, now, page })
      return page
    },
  }
}
