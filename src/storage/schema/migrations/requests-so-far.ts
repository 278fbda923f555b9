import { sortableIdFrom, timeOfSortableId } from '#lib/sortable-id.ts'
import type { Rewrite } from './migration.ts'

const prefixes = ['req_', 'res_', 'evt_']
/**
 * An instance of an earlier version may run on for a while. What it books goes to no table by user: it is gathered when
 * its id is behind this, so that only what it was sent for longer than this is left out.
 */
const againMs = 3_600_000

/** Notes up to where all requests stand in the table by user: an hour before the newest. */
export const requestsSoFar: Rewrite = {
  name: 'requests-so-far',
  async run(rows) {
    const times: number[] = []
    for (const prefix of prefixes) {
      const [row] = await rows('select max(id) from entries where id >= $1 and id < $2', [
        prefix,
        `${prefix}~`,
      ])
      const newest = row?.[0]
      const at = typeof newest === 'string' ? timeOfSortableId(prefix, newest) : undefined
      if (at !== undefined) times.push(at)
    }
    const below = times.length === 0 ? '' : sortableIdFrom('', Math.max(...times) - againMs)
    await rows('insert into facts (name, value) values ($1, $2)', ['user_requests_below', below])
  },
}
