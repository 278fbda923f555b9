import { isLoopbackName } from '#core/network.ts'
import type { Scope } from '#core/scopes.ts'
import type { GroupScopes, SignOnSettings } from '#core/sign-on.ts'
import { present } from '#lib/present.ts'
import { type Environment, listOf, secretOf, textOf } from './environment.ts'
import type { ConfigFile } from './file.ts'
import { ConfigError } from './settings.ts'
import { signOnScopes } from './sign-on-scopes.ts'

const domain = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/
const groupsMax = 200

/** The sign-on of file and environment, which wins member by member; undefined where no issuer is set. */
export function signOnOf({ signOn: file = {} }: ConfigFile, env: Environment): SignOnSettings | undefined {
  const variables = {
    issuer: textOf(env, 'SIGN_ON_ISSUER'),
    clientId: textOf(env, 'SIGN_ON_CLIENT_ID'),
    publicUrl: textOf(env, 'SIGN_ON_PUBLIC_URL'),
    groupsClaim: textOf(env, 'SIGN_ON_GROUPS_CLAIM'),
    scope: textOf(env, 'SIGN_ON_SCOPE'),
  }
  const groups = textOf(env, 'SIGN_ON_GROUPS')
  const domains = listOf(env, 'SIGN_ON_EMAIL_DOMAINS')
  const clientSecret = secretOf(env, 'SIGN_ON_CLIENT_SECRET')
  const given = { ...file, ...present(variables) }
  if (given.issuer === undefined) {
    const others = [...Object.keys(given), groups, clientSecret, ...domains]
    if (others.every((each) => each === undefined)) return undefined
    throw new ConfigError('SIGN_ON_ISSUER', 'is needed with the other settings of the sign-on')
  }
  return {
    issuer: addressOf('SIGN_ON_ISSUER', given.issuer),
    clientId: needed('SIGN_ON_CLIENT_ID', given.clientId),
    clientSecret,
    publicUrl: originOf(needed('SIGN_ON_PUBLIC_URL', given.publicUrl)),
    groupsClaim: given.groupsClaim ?? 'groups',
    scope: scopeOf(given.scope ?? 'openid profile email'),
    groups: groupsOf(groups, file.groups),
    emailDomains: domainsOf(domains.length > 0 ? domains : (file.emailDomains ?? [])),
  }
}

function domainsOf(texts: readonly string[]): readonly string[] {
  const domains = texts.map((text) => text.toLowerCase())
  const wrong = domains.find((each) => !domain.test(each))
  if (wrong === undefined) return domains
  throw new ConfigError(
    'SIGN_ON_EMAIL_DOMAINS',
    `${JSON.stringify(wrong)} must be a domain such as example.org`,
  )
}

function needed(name: string, value: string | undefined): string {
  if (value !== undefined) return value
  throw new ConfigError(name, 'is needed for the sign-on')
}

/** As it is: the provider's own spelling is compared. */
function addressOf(name: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isSafe = url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackName(nameOf(url)))
  if (url && isSafe && url.search === '' && url.hash === '' && url.username === '' && url.password === '')
    return text
  throw new ConfigError(
    name,
    'must be an address that begins with https://, without a query; http:// is for this machine alone',
  )
}

function originOf(text: string): string {
  const url = new URL(addressOf('SIGN_ON_PUBLIC_URL', text))
  if (url.pathname === '/') return url.origin
  throw new ConfigError(
    'SIGN_ON_PUBLIC_URL',
    'must be an origin such as https://tollgate.example.org, without a path',
  )
}

function nameOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}

function scopeOf(text: string): string {
  const asked = text.split(/\s+/)
  if (asked.includes('openid')) return asked.join(' ')
  throw new ConfigError('SIGN_ON_SCOPE', 'must hold openid, such as "openid profile email groups"')
}

/** @param text such as `admins=admin, helpdesk=users:read+usage:read` */
function groupsOf(text: string | undefined, file: GroupScopes | undefined): GroupScopes {
  const groups = text === undefined ? file : Object.fromEntries(text.split(',').map(groupOf))
  const names = Object.keys(groups ?? {})
  if (groups && names.length > 0 && names.length <= groupsMax) return groups
  throw new ConfigError(
    'SIGN_ON_GROUPS',
    `must name 1 to ${groupsMax} groups with their scopes, such as admins=admin, helpdesk=users:read+usage:read`,
  )
}

function groupOf(text: string): readonly [string, readonly Scope[]] {
  const end = text.lastIndexOf('=')
  const [name, words] = [text.slice(0, Math.max(end, 0)).trim(), text.slice(end + 1).split('+')]
  const found = words.map((word) => signOnScopes.find((scope) => scope === word.trim()))
  if (name !== '' && found.every((scope) => scope !== undefined)) return [name, found]
  throw new ConfigError(
    'SIGN_ON_GROUPS',
    `${JSON.stringify(text.trim())} must be a group and its scopes, such as helpdesk=users:read+usage:read; the scopes are ` +
      signOnScopes.join(', '),
  )
}
