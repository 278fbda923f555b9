import type { SideName } from '../against/ask.ts'
import type { Sample, Side } from '../support/side.ts'

/** One revision's side of a comparison: opens the bench of `argv[2]` over the sources beside it, and answers rounds. */
export type SideMessage =
  | { readonly kind: 'open' | 'closed' }
  | { readonly kind: 'round'; readonly samples: readonly Sample[] }
  | { readonly kind: 'failed'; readonly message: string }

/** Each bench is loaded alone, so that one that does not run over these sources does not stop the others. */
const benches: Readonly<Record<SideName, () => Promise<{ readonly openSide: () => Promise<Side> }>>> = {
  relay: () => import('../relay.ts'),
  limits: () => import('../limits.ts'),
  users: () => import('../users.ts'),
  stream: () => import('../stream.ts'),
  prompt: () => import('../prompt.ts'),
  usage: () => import('../usage.ts'),
  admin: () => import('../admin.ts'),
  postgres: () => import('../postgres.ts'),
}

const say = (message: SideMessage) => process.send?.(message)
const fail = (error: unknown) =>
  say({ kind: 'failed', message: error instanceof Error ? (error.stack ?? error.message) : String(error) })

async function open(): Promise<void> {
  const { openSide } = await benches[process.argv[2] as SideName]()
  const side = await openSide()
  process.on('message', (question: 'round' | 'close') => {
    if (question === 'round') side.round().then((samples) => say({ kind: 'round', samples }), fail)
    else side.close().then(() => say({ kind: 'closed' }), fail)
  })
  say({ kind: 'open' })
}

process.once('disconnect', () => process.exit())
open().catch(fail)
