import { type Figure, median } from '../support/report.ts'

/** In a shorter run caches and V8's heap are still filling, and growth cannot be judged. */
const minutesOfGrowth = 6

/**
 * The last third against the second, by medians: the first third fills caches, the page cache and V8's heap, and a
 * median ignores the moments before a collection. An even leak is detected from 12 % of the memory in a third of the
 * time on.
 */
export function growth(resident: readonly number[], minutes: number): readonly Figure[] {
  const third = Math.floor(resident.length / 3)
  const second = median(resident.slice(third, 2 * third))
  const last = median(resident.slice(2 * third))
  return [
    { what: 'memory, median of the last third', value: last / 1_000_000, unit: 'MB' },
    {
      ...{ what: 'memory, last third against the second', value: last / second, unit: 'x' },
      ...(minutes >= minutesOfGrowth && { atMost: 1.1 }),
    },
  ]
}
