import { lookUpAccessToken } from '#admin/access-tokens/lookup.ts'
import { revealAccessToken } from '#admin/access-tokens/reveal.ts'
import { rotateAccessToken } from '#admin/access-tokens/rotate.ts'
import { listAudit } from '#admin/audit/list.ts'
import { beginBulk } from '#admin/bulk/begin.ts'
import { continueBulk, undoBulk } from '#admin/bulk/go-on.ts'
import { listBulk, readBulk } from '#admin/bulk/read.ts'
import { readCaller } from '#admin/caller/read.ts'
import { createClaim } from '#admin/claims/create.ts'
import { listClaims } from '#admin/claims/list.ts'
import { revokeClaim } from '#admin/claims/revoke.ts'

import { readFrontEnd } from '#admin/front-ends/read.ts'
import { removeFrontEnd } from '#admin/front-ends/remove.ts'
import { createFrontEndWire } from '#admin/front-ends/wire.ts'
import { writeFrontEnd } from '#admin/front-ends/write.ts'
import { createKey } from '#admin/keys/create.ts'
import { deleteKey } from '#admin/keys/delete.ts'
import { listKeys } from '#admin/keys/list.ts'
import { rotateKey } from '#admin/keys/rotate.ts'
import { purgeUser } from '#admin/purge/purge.ts'
import { addToQuota } from '#admin/quotas/add.ts'
import { readQuota } from '#admin/quotas/read.ts'
import { resetQuota } from '#admin/quotas/reset.ts'
import { resetQuotas } from '#admin/quotas/reset-all.ts'
import { createQuotaWire } from '#admin/quotas/wire.ts'
import { listRequests } from '#admin/requests/list.ts'
import { beginSecondFactor } from '#admin/second-factor/begin.ts'
import { confirmSecondFactor } from '#admin/second-factor/confirm.ts'
import { removeSecondFactor } from '#admin/second-factor/remove.ts'
import { createSession } from '#admin/sessions/create.ts'
import { endSession } from '#admin/sessions/end.ts'
import { listSessions } from '#admin/sessions/list.ts'
import { readSession } from '#admin/sessions/read.ts'
import { readSettings } from '#admin/settings/read.ts'
import { exportUsers } from '#admin/transfer/export.ts'
import { importUsers } from '#admin/transfer/import.ts'
import { readUsage } from '#admin/usage/read.ts'
import { readUserUsage } from '#admin/usage/read-user.ts'
import { createUser } from '#admin/users/create.ts'
import { disableUser } from '#admin/users/disable.ts'
import { listUsers } from '#admin/users/list.ts'
import { readUser } from '#admin/users/read.ts'
import { createUserWire } from '#admin/users/wire.ts'
import { writeUser } from '#admin/users/write.ts'
import { writeUsers } from '#admin/users/write-many.ts'
import type { Policy } from '#core/admission.ts'
import { familyNames } from '#core/family.ts'
import type { Operation } from './operation.ts'

export interface AdminRoute extends Operation {
  /** The contract's name, where the operation is part of it. */
  readonly operationId: string
  readonly method: 'get' | 'post' | 'put' | 'delete'
  /** The path's template, as in the log and the API's description. */
  readonly path: string
}

/**
 * All operations that need an admin key, for one configuration of families. The public pages (the API's description)
 * are in reference/pages.ts.
 */
export function createAdminRoutes({
  families,
  limits,
}: Pick<Policy, 'families' | 'limits'>): readonly AdminRoute[] {
  const users = createUserWire(families, limits)
  const quotas = createQuotaWire(familyNames(families))
  const frontEnds = createFrontEndWire(users)
  const user = '/admin/users/{token}'
  const frontEnd = `${user}/front-end`
  return [
    { operationId: 'getUsers', method: 'get', path: '/admin/users', ...listUsers(users) },
    { operationId: 'createUser', method: 'post', path: '/admin/users', ...createUser(users) },
    { operationId: 'bulkUpsertUsers', method: 'put', path: '/admin/users', ...writeUsers(users) },
    { operationId: 'exportUsers', method: 'get', path: '/admin/users/export', ...exportUsers(users) },
    { operationId: 'importUsers', method: 'post', path: '/admin/users/import', ...importUsers(users) },
    { operationId: 'beginBulk', method: 'post', path: '/admin/users/bulk', ...beginBulk(users) },
    { operationId: 'getUser', method: 'get', path: user, ...readUser(users) },
    { operationId: 'upsertUser', method: 'put', path: user, ...writeUser(users) },
    { operationId: 'disableUser', method: 'delete', path: user, ...disableUser(users) },
    { operationId: 'getQuota', method: 'get', path: `${user}/quota`, ...readQuota(quotas) },
    { operationId: 'purgeUser', method: 'post', path: `${user}/purge`, ...purgeUser },
    { operationId: 'resetQuota', method: 'post', path: `${user}/quota/reset`, ...resetQuota(quotas) },
    { operationId: 'addToQuota', method: 'post', path: `${user}/quota/add`, ...addToQuota(quotas) },
    { operationId: 'resetQuotas', method: 'post', path: '/admin/quota/reset', ...resetQuotas(quotas) },
    { operationId: 'rotateToken', method: 'post', path: `${user}/rotate`, ...rotateAccessToken },
    { operationId: 'revealToken', method: 'post', path: `${user}/reveal`, ...revealAccessToken },
    { operationId: 'createClaim', method: 'post', path: `${user}/claim`, ...createClaim },
    { operationId: 'listClaims', method: 'get', path: `${user}/claims`, ...listClaims },
    { operationId: 'revokeClaim', method: 'delete', path: `${user}/claims/{id}`, ...revokeClaim },
    { operationId: 'getFrontEnd', method: 'get', path: frontEnd, ...readFrontEnd(frontEnds) },
    { operationId: 'setFrontEnd', method: 'put', path: frontEnd, ...writeFrontEnd(frontEnds) },
    { operationId: 'removeFrontEnd', method: 'delete', path: frontEnd, ...removeFrontEnd(frontEnds) },
    { operationId: 'lookUpToken', method: 'post', path: '/admin/tokens/lookup', ...lookUpAccessToken(users) },
    { operationId: 'listBulk', method: 'get', path: '/admin/bulk', ...listBulk },
    { operationId: 'getBulk', method: 'get', path: '/admin/bulk/{id}', ...readBulk },
    {
      operationId: 'continueBulk',
      method: 'post',
      path: '/admin/bulk/{id}/continue',
      ...continueBulk(users),
    },
    { operationId: 'undoBulk', method: 'post', path: '/admin/bulk/{id}/undo', ...undoBulk(users) },
    { operationId: 'getUsage', method: 'get', path: '/admin/usage', ...readUsage },
    { operationId: 'getUserUsage', method: 'get', path: `${user}/usage`, ...readUserUsage },
    { operationId: 'getRequests', method: 'get', path: '/admin/requests', ...listRequests },
    { operationId: 'getCaller', method: 'get', path: '/admin/whoami', ...readCaller },
    { operationId: 'getSettings', method: 'get', path: '/admin/settings', ...readSettings },
    { operationId: 'getAudit', method: 'get', path: '/admin/audit', ...listAudit },
    { operationId: 'getKeys', method: 'get', path: '/admin/keys', ...listKeys },
    { operationId: 'createKey', method: 'post', path: '/admin/keys', ...createKey },
    { operationId: 'rotateKey', method: 'post', path: '/admin/keys/{id}/rotate', ...rotateKey },
    { operationId: 'deleteKey', method: 'delete', path: '/admin/keys/{id}', ...deleteKey },
    {
      operationId: 'beginSecondFactor',
      method: 'post',
      path: '/admin/keys/{id}/second-factor',
      ...beginSecondFactor,
    },
    {
      operationId: 'confirmSecondFactor',
      method: 'post',
      path: '/admin/keys/{id}/second-factor/confirm',
      ...confirmSecondFactor,
    },
    {
      operationId: 'removeSecondFactor',
      method: 'post',
      path: '/admin/keys/{id}/second-factor/remove',
      ...removeSecondFactor,
    },
    { operationId: 'getSessions', method: 'get', path: '/admin/sessions', ...listSessions },
    { operationId: 'createSession', method: 'post', path: '/admin/sessions', ...createSession },
    { operationId: 'getSession', method: 'get', path: '/admin/sessions/{id}', ...readSession },
    { operationId: 'endSession', method: 'delete', path: '/admin/sessions/{id}', ...endSession },
  ]
}
