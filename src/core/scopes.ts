/**
 * What an admin key allows, one row for each permission: which plane it opens, what it includes, and its words in
 * `/openapi.json` and in the documents. Each route names the permission that it needs, and is closed to every key
 * without it.
 */
interface PermissionRow {
  /** `admin`: the admin API. `gateways`: the endpoints for other gateways. */
  readonly plane: 'admin' | 'gateways'
  readonly what: string
  /** A permission that comes with it. */
  readonly includes?: string
}

const permissionTable = {
  'users:read': {
    plane: 'admin',
    what: 'Read users and quotas. Access tokens are masked.',
  },
  'users:write': {
    plane: 'admin',
    what: 'Create, change and disable users; reset quotas and add to them.',
    // The answer to a write is the user.
    includes: 'users:read',
  },
  'users:purge': {
    plane: 'admin',
    what: 'Remove users for good, one by one; in bulk together with `users:write`.',
  },
  'tokens:reveal': {
    plane: 'admin',
    what: 'See access tokens in clear wherever another scope shows a user.',
  },
  'usage:read': { plane: 'admin', what: 'Read reports of usage, and single requests.' },
  'audit:read': { plane: 'admin', what: 'Read who changed what.' },
  'keys:write': { plane: 'admin', what: 'List, make, rotate and delete admin keys.' },
  'settings:read': { plane: 'admin', what: 'Read the configuration, without its secrets.' },
  verify: { plane: 'gateways', what: 'Ask whether an access token may make a request.' },
  'usage:write': { plane: 'gateways', what: 'Reserve units, and report usage.' },
} as const satisfies Readonly<Record<string, PermissionRow>>

export type Permission = keyof typeof permissionTable

/** What a key is stored with: permissions, or one of two names for all of those of a plane. */
export type Scope = Permission | 'admin' | 'verifier'

/** What a route needs. `any`: whatever opens the admin API, for routes about the caller itself. */
export type Need = Permission | 'any'

/** The table's own keys, which the type forgets. */
export const permissions = Object.keys(permissionTable) as readonly Permission[]

export const scopes: readonly Scope[] = ['admin', 'verifier', ...permissions]

const ofPlane = (plane: PermissionRow['plane']) =>
  permissions.filter((each) => permissionTable[each].plane === plane)

const collections: Readonly<Record<'admin' | 'verifier', readonly Permission[]>> = {
  admin: ofPlane('admin'),
  verifier: ofPlane('gateways'),
}

/** What each scope allows. */
const allowed: ReadonlyMap<Scope, ReadonlySet<Need>> = new Map(
  scopes.map((scope) => [scope, new Set(needsMetBy(scope))]),
)

function needsMetBy(scope: Scope): readonly Need[] {
  const named = scope === 'admin' || scope === 'verifier' ? collections[scope] : [scope]
  const included = named.flatMap((each) => {
    const row: PermissionRow = permissionTable[each]
    return permissions.filter((permission) => permission === row.includes)
  })
  const opensAdmin = named.some((each) => permissionTable[each].plane === 'admin')
  return [...named, ...included, ...(opensAdmin ? (['any'] as const) : [])]
}

/** Whether a key with these scopes meets a need. */
export function allows(own: readonly Scope[], need: Need): boolean {
  return own.some((scope) => allowed.get(scope)?.has(need) ?? false)
}

/**
 * The scopes of `wanted` that go beyond `own`. A key with `admin` may hand on every scope: it could always make a key for
 * another gateway, although it does not open that plane itself. (An administrator's key in a proxy's configuration is a
 * mistake, which that refusal shows.)
 */
export function beyond(own: readonly Scope[], wanted: readonly Scope[]): readonly Scope[] {
  if (own.includes('admin')) return []
  return wanted.filter((scope) => scope === 'admin' || needsMetBy(scope).some((need) => !allows(own, need)))
}

/** One sentence for documents. */
export function meaningOfScope(scope: Scope): string {
  switch (scope) {
    case 'admin':
      return 'All scopes of the admin API; may make keys of every scope.'
    case 'verifier':
      return `All scopes of the endpoints for other gateways: ${collections.verifier.join(', ')}.`
    default: {
      const { what, includes }: PermissionRow = permissionTable[scope]
      return includes === undefined ? what : `${what} Includes \`${includes}\`.`
    }
  }
}
