import type { User } from '#core/user.ts'
import type { UserPage } from '#core/user-list.ts'

/** The pages of a streamed list, and what to do when one cannot be read. */
export interface UserStreamSource {
  readonly first: UserPage
  readonly nextPage: (after: NonNullable<UserPage['next']>) => Promise<UserPage>
  readonly toText: (user: User) => string
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
  const text = new TextEncoder()
  let page: UserPage | undefined = source.first
  let count = 0

  function take(current: UserPage): string {
    const users = current.users.map(source.toText).join(',')
    const before = count === 0 ? '{"users":[' : users === '' ? '' : ','
    count += current.users.length
    return `${before}${users}${current.next ? '' : `],"count":${count}}`}`
  }

  let next: UserPage['next']
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const current = page ?? (next && (await source.nextPage(next)))
          page = undefined
          if (!current) return controller.close()
          next = current.next
          controller.enqueue(text.encode(take(current)))
          if (!next) controller.close()
        } catch (error) {
          if (source.onFailure(error) === 'cut') controller.close()
          else controller.error(error)
        }
      },
    },
    // No read-ahead: the body of a HEAD is never read.
    { highWaterMark: 0 },
  )
}
