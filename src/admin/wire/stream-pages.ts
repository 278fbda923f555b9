/** Where the pages of a file come from. */
export interface Pages<Place, Page extends { readonly next?: Place }> {
  /** What stands before the first page, where pages are texts; bytes are passed on as they are. */
  readonly head: string
  /** Read before the status is sent, so that an unavailable store gives a 503 and not a file that breaks off. */
  readonly first: Page
  readonly page: (after: Place) => Promise<Page>
  readonly toText: (page: Page) => string | Uint8Array
  /** Answers whether the connection was cut: without the last chunk the client can tell that the file is incomplete. */
  readonly onFailure: (error: unknown) => 'cut' | 'open'
}

/** Page after page, each read when the client has taken the one before. */
export function streamPages<Place, Page extends { readonly next?: Place }>(
  source: Pages<Place, Page>,
): ReadableStream<Uint8Array> {
  const text = new TextEncoder()
  let { head } = source
  let page: Page | undefined = source.first
  let next: Place | undefined
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          let piece: string | Uint8Array = ''
          // A page of which no row can be read is empty, and not the last.
          do {
            const current: Page | undefined =
              page ?? (next === undefined ? undefined : await source.page(next))
            page = undefined
            next = current?.next
            const rows = current ? source.toText(current) : ''
            piece = typeof rows === 'string' ? head + rows : rows
            head = ''
          } while (piece.length === 0 && next !== undefined)
          if (piece.length > 0) controller.enqueue(typeof piece === 'string' ? text.encode(piece) : piece)
          if (next === undefined) controller.close()
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
