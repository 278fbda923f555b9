import { streamPages } from '#admin/wire/stream-pages.ts'
import type { UserTexts } from '#core/user-list.ts'

/** The pages of a streamed list, and what to do when one cannot be read. */
export interface UserStreamSource {
  readonly first: UserTexts
  /** @param read how many users were read so far */
  readonly nextPage: (read: number, after: NonNullable<UserTexts['next']>) => Promise<UserTexts>
  /**
   * Called when a page fails after the status was sent. Answers whether the connection was cut; otherwise the stream
   * itself must fail.
   */
  readonly onFailure: (error: unknown) => 'cut' | 'open'
}

/**
 * `{"users":[…],"count":n}` for any number of users. A page is read when the client has taken the one before: memory
 * holds one page however slow the client is, and no transaction stays open between pages. The count comes last, when
 * the number of sent users is known.
 */
export function streamUsers(source: UserStreamSource): ReadableStream<Uint8Array> {
  let isBegun = false
  let count = 0

  /** A page in the middle is passed on as it is. */
  function take({ text, ...current }: UserTexts): Uint8Array {
    const begin = isBegun ? '' : '{"users":['
    const users = count === 0 ? text.subarray(1) : text
    isBegun = true
    count += current.count
    const end = current.next ? '' : `],"count":${count}}`
    return begin === '' && end === '' ? users : Buffer.concat([Buffer.from(begin), users, Buffer.from(end)])
  }

  return streamPages<NonNullable<UserTexts['next']>, UserTexts>({
    head: '',
    first: source.first,
    page: (after) => source.nextPage(count, after),
    toText: take,
    onFailure: source.onFailure,
  })
}
