import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openSimulatedUpstream } from '#upstreams/simulated/server.ts'
import { type Account, usageIn } from './support/account.ts'
import { withFolder } from './support/folder.ts'
import type { KillPoint } from './support/kill-point.ts'
import { type Fallen, type Stop, walkStops } from './support/kill-walk.ts'
import { databases } from './support/stores.ts'

/**
 * A crash at any point of a relay leaves the account right. The points are each write that a relay makes, before it
 * and after it, and the moments on the network between them; at each of them a process is killed, and what the next
 * one makes of it is compared with what the upstream served and the client saw. Each point costs a start of the
 * program, so those inside of transactions are sampled; KILL_POINTS=all walks all of them.
 */
const sampled = process.env.KILL_POINTS === 'all' ? Number.POSITIVE_INFINITY : 4

const transactions: ReadonlySet<string> = new Set(['begin', 'commit'])

/** Before and after each write of a relay, and how far the account has come by then. */
function atWrites(writes: readonly string[], isPipelined: boolean): Stop[] {
  const entered = writes.indexOf('insert into entries')
  const closed = writes.indexOf('update entries')
  const admitted = writes.indexOf('commit', entered)
  const settled = writes.indexOf('commit', closed)
  assert.ok(entered >= 0 && entered < admitted && admitted < closed && closed < settled, writes.join(', '))
  return sample(writes).map((point) => {
    const done = point.when === 'after' ? point.write : point.write - 1
    const isDone = (at: number) => at < done
    // Where all writes of a transaction are sent at once, an answer to the first says nothing of the commit behind it.
    const isBegun = (first: number) => isPipelined && point.when === 'after' && isDone(first)
    return {
      name: `${point.when} write ${point.write}, ${writes[point.write - 1]}`,
      point,
      leaves: isDone(settled)
        ? ['settled']
        : isDone(admitted)
          ? isBegun(closed)
            ? ['abandoned', 'settled']
            : ['abandoned']
          : isBegun(entered)
            ? ['nothing', 'abandoned']
            : ['nothing'],
      ...(!isDone(admitted) && { wasSent: false }),
      ...(isDone(closed) && { wasSent: true }),
    }
  })
}

/** Around the beginnings and ends of transactions always, and of the other points some. */
function sample(writes: readonly string[]): KillPoint[] {
  const points = [...writes.keys()].flatMap((at) =>
    (['before', 'after'] as const).map((when) => ({ when, write: at + 1, place: Math.random() })),
  )
  const isEdge = ({ write }: KillPoint) => transactions.has(writes[write - 1] ?? '')
  const inner = points.filter((point) => !isEdge(point)).toSorted((one, other) => one.place - other.place)
  return [...points.filter(isEdge), ...inner.slice(0, sampled)].toSorted(
    (one, other) => one.write - other.write,
  )
}

const units = 8

const onTheNetwork: readonly (Stop & { readonly isStream?: boolean })[] = [
  {
    name: 'the upstream has got the request',
    leaves: ['abandoned'],
    wasSent: true,
    simulate: 'delay=60000',
    isReached: ({ served }) => served().length > 0,
  },
  {
    name: 'the client has got the first chunk',
    isStream: true,
    leaves: ['abandoned'],
    wasSent: true,
    simulate: 'hang-after=1',
    isReached: ({ received }) => received.includes('data: '),
  },
  {
    name: 'the client has got the last chunk of output',
    isStream: true,
    leaves: ['abandoned'],
    wasSent: true,
    simulate: `units=${units}; hang-after=${units}`,
    isReached: ({ received, served }) =>
      served()[0]?.unitsSent === units && received.split('data: ').length > units,
  },
  {
    name: 'the client has got the last event, but not the end of the answer',
    isStream: true,
    leaves: ['settled'],
    wasSent: true,
    isReached: ({ received }) => received.includes('[DONE]'),
  },
  {
    name: 'the client has got the end of the answer',
    leaves: ['settled'],
    wasSent: true,
    isReached: ({ isWhole }) => isWhole,
  },
]

function check({ stop, userId, received, isWhole, served }: Fallen, account: Account): void {
  const entries = account.entriesOf(userId)
  const truth = served()
  const what = `${stop.name}, leaves ${stop.leaves}: ${JSON.stringify({ entries, truth, received })}`
  assert.ok(entries.length <= 1 && truth.length <= 1, what)
  const [entry] = entries
  assert.ok(
    stop.leaves.some((state) => state === (entry?.state ?? 'nothing')),
    what,
  )
  if (stop.wasSent !== undefined) assert.equal(truth.length > 0, stop.wasSent, what)
  // Nothing went up, and nothing came down, that the account does not know of.
  if (truth.length > 0 || received !== '') assert.ok(entry, what)
  if (isWhole) assert.equal(entry?.state, 'settled', what)
  if (entry?.state === 'settled') {
    assert.equal(entry.is_estimated, 0, what)
    assert.deepEqual(usageIn(entry), truth[0]?.usage, what)
    const said = /"total_tokens":(\d+)/.exec(received)?.[1]
    if (said !== undefined) assert.equal(entry.units, Number(said), what)
  }
  assert.equal(account.users.get(userId)?.prompt_count, entries.length, `${what}: it ended once`)
}

describe('a crash at any point of a relay', { concurrency: true }, () => {
  for (const kind of databases)
    for (const isStream of [false, true]) {
      const what = isStream ? 'streamed' : 'whole'
      it(`leaves the account right on ${kind.name}, ${what}`, { timeout: 600_000 }, (test) =>
        withFolder(async (folder) => {
          const upstream = await openSimulatedUpstream({ port: 0, behaviour: { chunkMs: 1 } })
          const database = await kind.create()
          const isPipelined = database.env.DATABASE_URL !== undefined
          let writes = 0
          const network = onTheNetwork.filter(
            (stop) => stop.isStream === undefined || stop.isStream === isStream,
          )
          try {
            const stopsFor = (all: readonly string[]) => {
              writes = all.length
              return [...atWrites(all, isPipelined), ...network]
            }
            const stops = await walkStops({ folder, database, upstream, isStream, stopsFor, check })
            test.diagnostic(
              `${stops.length} points: ${stops.length - network.length} of the ${2 * writes} around writes, ${network.length} on the network`,
            )
          } finally {
            await upstream.close()
            await database.remove()
          }
        }),
      )
    }
})
