import type { UserEdit } from './user-edit.ts'

/**
 * A front end is a user whose access token many people share, such as Open WebUI. It names the person it asks for, who
 * becomes a user of their own: held to own limits and to those of the front end, and metered alone.
 */

/** How a front end names a person. */
export const frontEndKinds = ['jwt', 'header', 'member'] as const
type FrontEndKind = (typeof frontEndKinds)[number]

/** What a front end is set to. */
export interface FrontEndSettings {
  /**
   * `jwt`: a header holds a token that is signed with the shared secret. `header`: a header holds the name. `member`: the
   * body does, in the member that the protocol has for it.
   */
  readonly kind: FrontEndKind
  /** The name of the header, in lower case; absent for `member`. */
  readonly header?: string
  /** From where a name is believed; absent: from anywhere. */
  readonly networks?: readonly string[]
  /** Whether a request that names no person is refused. Otherwise it is the front end's own. */
  readonly isRequired: boolean
  /** How many people become users at most. */
  readonly peopleMax: number
  /** What each new person begins with. */
  readonly template: UserEdit
  /** How long a person may ask, in days from the first request; absent: for ever. */
  readonly expiresAfterDays?: number
  /** The template as an administrator wrote it. */
  readonly shownTemplate: Readonly<Record<string, unknown>>
}

/** A front end with all that it takes to find its people. */
export interface FrontEnd {
  readonly userId: string
  /** Another one with each change of the settings. */
  readonly version: string
  readonly settings: FrontEndSettings
  /** The key of its tokens; absent where it signs none. */
  readonly secret?: string
}

/** The header of Open WebUI's signed tokens. */
export const userJwtHeader = 'x-openwebui-user-jwt'
export const peopleMaxDefault = 1_000
export const peopleMaxMost = 100_000

/** A longer name of a person is refused. */
export const personLengthMax = 256

/** A person as the front end names them. */
export interface NamedPerson {
  /** Tells people of one front end apart. */
  readonly person: string
  /** What administrators see; absent: `person`. */
  readonly nickname?: string
}

/** What a request says of the person behind it. */
export interface AskedPerson {
  readonly frontEndId: string
  /** The version of the settings by which the person was found; the admission compares it with the stored one. */
  readonly version: string
  /** The user that the person is; absent where the request named none and may. */
  readonly userId?: string
}

/**
 * Under what usage of people is added up for their front end. It is no id of a user, so that a report that tells users
 * apart counts it once.
 */
export function sharedUsageOf(frontEndId: string): string {
  return `${frontEndId}.people`
}
