import type { Scope } from '#api/client.ts'
import { t } from '#words/words.ts'

export interface Place {
  readonly path: string
  readonly name: string
  /** The path of its sign, in a box of 24. */
  readonly sign: string
  /** The scope without which the page has nothing to show. */
  readonly need?: Scope
}

/** The pages of the rail, in its order. */
export const places: readonly Place[] = [
  {
    path: '/overview',
    name: t.nav.overview,
    sign: 'M4 13h6V4H4zm0 7h6v-5H4zm8 0h8v-9h-8zm0-16v5h8V4z',
    need: 'usage:read',
  },
  {
    path: '/users',
    name: t.nav.users,
    sign: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8m-8 8c0-3 4-5 8-5s8 2 8 5z',
    need: 'users:read',
  },
  { path: '/usage', name: t.nav.usage, sign: 'M4 20V10h4v10zm6 0V4h4v16zm6 0v-7h4v7z', need: 'usage:read' },
  {
    path: '/requests',
    name: t.nav.requests,
    sign: 'M4 6h16v2H4zm0 5h16v2H4zm0 5h10v2H4z',
    need: 'usage:read',
  },
  {
    path: '/audit',
    name: t.nav.audit,
    sign: 'M6 3h9l4 4v14H6zm3 8v2h7v-2zm0 4v2h7v-2z',
    need: 'audit:read',
  },
  {
    path: '/keys',
    name: t.nav.keys,
    sign: 'M8 17a5 5 0 1 1 4.6-7H21v4h-2v3h-4v-3h-2.4A5 5 0 0 1 8 17m0-3a2 2 0 1 0 0-4 2 2 0 0 0 0 4',
  },
  {
    path: '/settings',
    name: t.nav.settings,
    sign: 'M4 7h9v2H4zm13-1a2 2 0 1 1 0 4 2 2 0 0 1 0-4M4 15h5v2H4zm9-1a2 2 0 1 1 0 4 2 2 0 0 1 0-4m4 1h3v2h-3z',
  },
]

/** What a page needs, also where it is reached by its address. */
export function needOf(path: string): Scope | undefined {
  if (path === '/users/new') return 'users:write'
  return places.find((place) => path === place.path || path.startsWith(`${place.path}/`))?.need
}

/** Where a session begins: the first page that its scopes allow. */
export const homeOf = (permissions: readonly Scope[]): string =>
  places.find(({ need }) => need === undefined || permissions.includes(need))?.path ?? '/keys'
