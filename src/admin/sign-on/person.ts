import { createHash } from 'node:crypto'
import { type Person, type SignOnEnded, type SignOnSettings, scopesOfGroups } from '#core/sign-on.ts'

/** What the provider says of a person: the claims of the ID token, with those of its user info beside. */
export type Claims = Readonly<Record<string, unknown>>

type Rules = Pick<SignOnSettings, 'issuer' | 'groups' | 'groupsClaim' | 'emailDomains'>

const nameLengthMax = 80
const subjectLengthMax = 255
/** More than providers put into a token; what is beyond counts as absent. */
const groupsMax = 1000

/** Whom the claims name, and whether that person may log in. */
export function personOf(claims: Claims, rules: Rules): SignOnEnded {
  const subject = textOf(claims.sub)
  // One that was altered to be shown could be another person's.
  if (subject === undefined || subject !== claims.sub || subject.length > subjectLengthMax)
    return { kind: 'refused', why: 'wrong' }
  const name = nameOf(claims, subject)
  if (!hasEmailOf(claims, rules.emailDomains)) return { kind: 'refused', why: 'email', subject, name }
  const found = groupsOf(claims, rules.groupsClaim)
  const groups = (found ?? []).filter((group) => Object.hasOwn(rules.groups, group))
  const scopes = scopesOfGroups(groups, rules.groups)
  if (scopes.length === 0) {
    const isOver = found === undefined && hasTooMany(claims, rules.groupsClaim)
    return { kind: 'refused', why: isOver ? 'too_many_groups' : 'no_group', subject, name }
  }
  return { kind: 'named', person: { issuer: rules.issuer, subject, name, groups, scopes } }
}

/** Names the person where an admin key has its id. */
export function idOf({ issuer, subject }: Person): string {
  return `sso_${createHash('sha256').update(`${issuer}\n${subject}`).digest('hex').slice(0, 24)}`
}

/** Whether the user info has to be asked for: the ID token may leave these out (OpenID Connect Core, section 5.4). */
export function lacksClaims(claims: Claims, { groupsClaim }: Pick<Rules, 'groupsClaim'>): boolean {
  return groupsOf(claims, groupsClaim) === undefined || claims.email === undefined
}

/** A text, or a list of texts. An e-mail address counts only where the provider has verified it. */
function groupsOf(claims: Claims, claim: string): readonly string[] | undefined {
  if (claim === 'email') return verifiedEmail(claims)
  const value = Object.hasOwn(claims, claim) ? claims[claim] : within(claims, claim.split('.'))
  if (typeof value === 'string') return [value]
  return Array.isArray(value)
    ? value.slice(0, groupsMax).filter((each) => typeof each === 'string')
    : undefined
}

/** A claim within others, such as `realm_access.roles`. */
function within(claims: unknown, [name, ...more]: readonly string[]): unknown {
  if (name === undefined) return claims
  if (typeof claims !== 'object' || claims === null || !Object.hasOwn(claims, name)) return undefined
  return within(Reflect.get(claims, name), more)
}

/** The provider says where the groups are found, in place of the groups (OpenID Connect Core, section 5.6.2). */
function hasTooMany({ _claim_names: names }: Claims, claim: string): boolean {
  return typeof names === 'object' && names !== null && Object.hasOwn(names, claim)
}

function hasEmailOf(claims: Claims, domains: readonly string[]): boolean {
  if (domains.length === 0) return true
  const [email] = verifiedEmail(claims) ?? []
  const domain = email?.slice(email.lastIndexOf('@') + 1)
  return domain !== undefined && domains.includes(domain)
}

/** Someone else's address could be entered at a provider that does not verify it. */
function verifiedEmail({ email, email_verified: isVerified }: Claims): readonly string[] | undefined {
  return isVerified === true && typeof email === 'string' ? [email.toLowerCase()] : undefined
}

function nameOf(claims: Claims, subject: string): string {
  const [email] = verifiedEmail(claims) ?? []
  const name = email ?? textOf(claims.preferred_username) ?? textOf(claims.name) ?? subject
  return name.slice(0, nameLengthMax)
}

/** Without characters that move a cursor or break a line. */
function textOf(value: unknown): string | undefined {
  if (typeof value !== 'string') return undefined
  const text = value.replaceAll(/\p{C}/gu, '').trim()
  return text === '' ? undefined : text.toWellFormed()
}
