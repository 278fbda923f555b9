import { createKey } from '#admin/keys/create.ts'
import { deleteKey } from '#admin/keys/delete.ts'
import { listKeys } from '#admin/keys/list.ts'
import { resetQuotas } from '#admin/quotas/reset-all.ts'
import { addToQuota, readQuota, resetQuota } from '#admin/quotas/user-quota.ts'
import { listRequests } from '#admin/requests/list.ts'
import { readUsage, readUserUsage } from '#admin/usage/read.ts'
import { createUser } from '#admin/users/create.ts'
import { disableUser } from '#admin/users/disable.ts'
import { listUsers } from '#admin/users/list.ts'
import { readUser } from '#admin/users/read.ts'
import { writeUser } from '#admin/users/write.ts'
import { writeUsers } from '#admin/users/write-many.ts'
import type { AdminHandler } from './context.ts'

export interface AdminRoute {
  /** The contract's name where it has one; the API's description knows the route by it. */
  readonly operationId: string
  readonly method: 'get' | 'post' | 'put' | 'delete'
  /** Template, as the log and the API's description say it. */
  readonly path: string
  readonly handle: AdminHandler
}

/** Everything that an admin key opens. What needs none (the API's description) stands in reference.ts. */
export const adminRoutes: readonly AdminRoute[] = [
  { operationId: 'getUsers', method: 'get', path: '/admin/users', handle: listUsers },
  { operationId: 'createUser', method: 'post', path: '/admin/users', handle: createUser },
  { operationId: 'bulkUpsertUsers', method: 'put', path: '/admin/users', handle: writeUsers },
  { operationId: 'getUser', method: 'get', path: '/admin/users/{token}', handle: readUser },
  { operationId: 'upsertUser', method: 'put', path: '/admin/users/{token}', handle: writeUser },
  { operationId: 'disableUser', method: 'delete', path: '/admin/users/{token}', handle: disableUser },
  { operationId: 'getQuota', method: 'get', path: '/admin/users/{token}/quota', handle: readQuota },
  { operationId: 'resetQuota', method: 'post', path: '/admin/users/{token}/quota/reset', handle: resetQuota },
  { operationId: 'addToQuota', method: 'post', path: '/admin/users/{token}/quota/add', handle: addToQuota },
  { operationId: 'resetQuotas', method: 'post', path: '/admin/quota/reset', handle: resetQuotas },
  { operationId: 'getUsage', method: 'get', path: '/admin/usage', handle: readUsage },
  { operationId: 'getUserUsage', method: 'get', path: '/admin/users/{token}/usage', handle: readUserUsage },
  { operationId: 'getRequests', method: 'get', path: '/admin/requests', handle: listRequests },
  { operationId: 'getKeys', method: 'get', path: '/admin/keys', handle: listKeys },
  { operationId: 'createKey', method: 'post', path: '/admin/keys', handle: createKey },
  { operationId: 'deleteKey', method: 'delete', path: '/admin/keys/{id}', handle: deleteKey },
]
