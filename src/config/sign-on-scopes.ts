import { allows, type Scope, scopes } from '#core/scopes.ts'

/** Scopes that open the admin API; a session opens no other plane. */
export const signOnScopes: readonly Scope[] = scopes.filter((scope) => allows([scope], 'any'))
