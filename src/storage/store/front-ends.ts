import type { By } from '#core/change.ts'
import type { FrontEnd, FrontEndSettings, NamedPerson } from '#core/front-end.ts'

/** The key of signed tokens in a change of the settings: a new one, the stored one, or none. */
export type FrontEndSecret =
  | { readonly kind: 'new'; readonly secret: string }
  | { readonly kind: 'kept' | 'none' }

export type PersonTaken =
  | { readonly kind: 'taken'; readonly userId: string; readonly isNew: boolean }
  /** So many people have become users already. */
  | { readonly kind: 'full'; readonly peopleMax: number }
  /** The user is no front end any more, or may not ask now. */
  | { readonly kind: 'closed' }

export interface FrontEndStore {
  readonly readFrontEnd: (userId: string) => Promise<FrontEnd | undefined>
  readonly countPeople: (userId: string) => Promise<number>
  /** The user that a person is; undefined for one that has not asked before. */
  readonly findPerson: (frontEndId: string, person: string) => Promise<string | undefined>
  /** Answers `no_secret` where the stored key is to be kept and no key is stored. */
  readonly setFrontEnd: (
    userId: string,
    settings: FrontEndSettings,
    secret: FrontEndSecret,
    by: By,
  ) => Promise<FrontEnd | 'unknown' | 'no_secret'>
  /** From now on the user is a plain one; its people stay, and cannot ask. Answers whether it was a front end. */
  readonly removeFrontEnd: (userId: string, by: By) => Promise<boolean>
  /** The user of a person, made from the template where the person has not asked before: once, whatever asks at once. */
  readonly takePerson: (frontEndId: string, person: NamedPerson, by: By) => Promise<PersonTaken>
}
