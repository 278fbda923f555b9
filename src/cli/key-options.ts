import { keyOverlapDaysMax, type NewAdminKey } from '#core/admin-key.ts'
import { parseNetwork } from '#core/network.ts'
import { type Scope, scopes } from '#core/scopes.ts'

/** The options of a key, as given on the command line. */
export interface KeyOptions {
  readonly name: string | undefined
  /** None means `admin`. */
  readonly scopes: readonly string[]
  /** None means from anywhere. */
  readonly networks: readonly string[]
  readonly expiresInDays: string | undefined
  readonly overlapHours: string | undefined
}

const nameLengthMax = 80
const daysMax = 36_500
const dayMs = 86_400_000
const overlapHoursMax = 24 * keyOverlapDaysMax
const hourMs = 3_600_000

/** The key that the options describe, or a sentence that says what is wrong with them. */
export function readKeyOptions(options: KeyOptions, now: number): Omit<NewAdminKey, 'secret'> | string {
  const { name, expiresInDays } = options
  if (name === undefined || name.trim() === '' || name.length > nameLengthMax)
    return `name the key, in at most ${nameLengthMax} characters: tollgate keys create ann`
  if (options.overlapHours !== undefined) return '--overlap-hours goes with tollgate keys rotate only'
  const unknown = options.scopes.find((text) => !isScope(text))
  if (unknown !== undefined)
    return `--scope must be ${scopes.slice(0, -1).join(', ')} or ${scopes.at(-1)}, not ${JSON.stringify(unknown)}`
  const wanted = options.scopes.length === 0 ? (['admin'] as const) : options.scopes.filter(isScope)
  const networks = options.networks.map((text) => parseNetwork(text))
  const wrong = options.networks.find((_, index) => networks[index] === undefined)
  if (wrong !== undefined)
    return `--network takes an address or a network such as 10.0.0.0/8, not ${JSON.stringify(wrong)}`
  const key = {
    name,
    scopes: [...new Set(wanted)],
    ...(networks.length > 0 && { allowedNetworks: networks.flatMap((network) => network ?? []) }),
  }
  if (expiresInDays === undefined) return key
  const days = /^\d{1,5}$/.test(expiresInDays) ? Number(expiresInDays) : 0
  if (days < 1 || days > daysMax) return `--expires-in-days takes a whole number from 1 to ${daysMax}`
  return { ...key, expiresAt: now + days * dayMs }
}

/** For how many milliseconds the secret before works on, or a sentence that says what is wrong. */
export function readOverlap(text: string | undefined): number | string {
  if (text === undefined) return 0
  const hours = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (hours < 1 || hours > overlapHoursMax)
    return `--overlap-hours takes a whole number from 1 to ${overlapHoursMax}`
  return hours * hourMs
}

function isScope(text: string): text is Scope {
  return scopes.some((scope) => scope === text)
}
