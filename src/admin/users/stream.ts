import type { User } from '#core/user.ts'
import type { UserPage } from '#core/user-list.ts'

/** Where a streamed list gets its pages, and what is done when one cannot be had. */
export interface UserStreamSource {
  readonly first: UserPage
  readonly nextPage: (after: NonNullable<UserPage['next']>) => Promise<UserPage>
  readonly toText: (user: User) => string
  /**
   * Called when the list breaks off in the middle, when the status has long been sent. Answers whether the
   * connection was cut; else the stream itself has to fail.
   */
  readonly onFailure: (error: unknown) => 'cut' | 'open'
}

/**
 * `{"users":[…],"count":n}` of any number of users. A page is read when the client has taken the one before, so
 * that memory holds one page for however slow a client; between pages nothing is held in the database. The
 * count comes last, because only then is it known to be the length of what was sent.
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
    // Nothing is read ahead: the answer to a HEAD never is.
    { highWaterMark: 0 },
  )
}
