import { createWallClock } from './wall-clock.ts'

/**
 * Quota periods. No job runs when a period ends: code that uses or reads a quota asks for the bounds of the current
 * period, and counts from zero where the stored start is before them.
 */
export type Period = 'none' | 'hourly' | 'daily' | 'weekly' | 'monthly'
export const periods: readonly Period[] = ['none', 'hourly', 'daily', 'weekly', 'monthly']

export interface PeriodBounds {
  /** First instant of the period, epoch milliseconds; 0 for `none`. */
  readonly startAt: number
  /** First instant of the next one; Infinity for `none`. */
  readonly endAt: number
}

const forEver: PeriodBounds = { startAt: 0, endAt: Number.POSITIVE_INFINITY }

/**
 * Finds the period that `now` lies in, in the calendar of `timeZone`. With daylight saving a day may have 23 or 25
 * hours. Weeks begin on Monday, and months are those of the calendar.
 */
export function createPeriods(timeZone: string): (period: Period, now: number) => PeriodBounds {
  const { wallOf, instantOf } = createWallClock(timeZone)

  function compute(period: Exclude<Period, 'none'>, now: number): PeriodBounds {
    if (period === 'hourly') {
      // Hours begin at :00 of the wall clock, also in zones with a half-hour offset.
      const intoHour = wallOf(now) % 3_600_000
      const startAt = Math.floor(now / 1000) * 1000 - intoHour
      return { startAt, endAt: startAt + 3_600_000 }
    }
    const wall = new Date(wallOf(now))
    const [year, month, day] = [wall.getUTCFullYear(), wall.getUTCMonth(), wall.getUTCDate()]
    if (period === 'monthly') {
      return { startAt: instantOf(Date.UTC(year, month, 1)), endAt: instantOf(Date.UTC(year, month + 1, 1)) }
    }
    const monday = period === 'weekly' ? day - ((wall.getUTCDay() + 6) % 7) : day
    const length = period === 'weekly' ? 7 : 1
    return {
      startAt: instantOf(Date.UTC(year, month, monday)),
      endAt: instantOf(Date.UTC(year, month, monday + length)),
    }
  }

  // Calendar arithmetic costs tens of microseconds, and all requests of a period need the same answer, so it is cached.
  const known = new Map<Period, PeriodBounds>()
  return (period, now) => {
    if (period === 'none') return forEver
    const last = known.get(period)
    if (last && last.startAt <= now && now < last.endAt) return last
    const bounds = compute(period, now)
    known.set(period, bounds)
    return bounds
  }
}
