import { beyond, type Scope } from './scopes.ts'

/** Scopes by the name of a group of the provider. */
export type GroupScopes = Readonly<Record<string, readonly Scope[]>>

/** Whose persons may log in, and what their groups allow. */
export interface SignOnBounds {
  /** The provider's issuer (OpenID Connect Discovery, section 3). */
  readonly issuer: string
  readonly groups: GroupScopes
}

/** A person whom the provider has named. */
export interface Person {
  readonly issuer: string
  /** The provider's name for it, which never changes and is never another's. */
  readonly subject: string
  /** For people. */
  readonly name: string
  /** Those of its groups that allow something. */
  readonly groups: readonly string[]
  /** What they allowed at the login. */
  readonly scopes: readonly Scope[]
}

/** What groups allow, each scope once. Groups that are not known allow nothing. */
export function scopesOfGroups(groups: readonly string[], allowed: GroupScopes): readonly Scope[] {
  const known = groups.filter((group) => Object.hasOwn(allowed, group))
  return [...new Set(known.flatMap((group) => allowed[group] ?? []))]
}

/**
 * What a person may do now: no more than at the login, and no more than its groups allow since. Undefined where the provider
 * is another one by now.
 */
export function presentScopes(person: Person, bounds: SignOnBounds): readonly Scope[] | undefined {
  if (person.issuer !== bounds.issuer) return undefined
  const now = scopesOfGroups(person.groups, bounds.groups)
  const within = (inner: readonly Scope[], outer: readonly Scope[]) =>
    inner.filter((scope) => beyond(outer, [scope]).length === 0)
  return [...new Set([...within(now, person.scopes), ...within(person.scopes, now)])]
}

/** The sign-on as it is configured. */
export interface SignOnSettings extends SignOnBounds {
  readonly clientId: string
  /** Absent: a public client, which PKCE alone protects. */
  readonly clientSecret: string | undefined
  /** Where browsers reach the admin API; an origin. */
  readonly publicUrl: string
  /** The claim that holds groups. */
  readonly groupsClaim: string
  /** What is asked of the provider (OAuth 2.0 scopes), separated by spaces. */
  readonly scope: string
  /** Domains of which the verified e-mail address must be; empty: any, and none. */
  readonly emailDomains: readonly string[]
}

/** A sign-on that has begun, which the browser keeps sealed. */
export interface PendingSignOn {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
  /** The path that the browser comes back to. */
  readonly returnTo: string
  /** Epoch milliseconds. */
  readonly at: number
}

type SignOnBegun =
  | { readonly kind: 'begun'; readonly url: string; readonly pending: PendingSignOn }
  | { readonly kind: 'unavailable' }

export type SignOnEnded =
  | { readonly kind: 'named'; readonly person: Person }
  /** `denied`: by the provider. `wrong`: what came back is not an answer of the provider to this sign-on. */
  | { readonly kind: 'refused'; readonly why: 'denied' | 'wrong' }
  /** The provider has named a person that may not log in here. */
  | { readonly kind: 'refused'; readonly why: NotAllowed; readonly subject: string; readonly name: string }
  | { readonly kind: 'unavailable' }

/** `too_many_groups`: so many that the provider does not list them. */
export type NotAllowed = 'no_group' | 'too_many_groups' | 'email'

/** The provider's side of a sign-on. */
export interface SignOn {
  readonly begin: (returnTo: string) => Promise<SignOnBegun>
  /** @param query of the redirect back, without its question mark */
  readonly finish: (query: string, pending: PendingSignOn) => Promise<SignOnEnded>
  readonly seal: (pending: PendingSignOn) => string
  /** Undefined where the text was not sealed here, or is too old. */
  readonly unseal: (sealed: string) => PendingSignOn | undefined
}

/** Where the provider sends the browser back to, below the public address. */
export const signOnPath = '/admin/sessions/sign-on'
export const signOnCallbackPath = `${signOnPath}/callback`
