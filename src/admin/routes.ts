import type { AdminHandler } from './context.ts'
import { createKey } from './key-create.ts'
import { deleteKey } from './key-delete.ts'
import { listKeys } from './keys-list.ts'
import { resetQuotas } from './quota-reset.ts'
import { listRequests } from './requests-list.ts'
import { readUsage, readUserUsage } from './usage-read.ts'
import { createUser } from './user-create.ts'
import { disableUser } from './user-disable.ts'
import { addToQuota, readQuota, resetQuota } from './user-quota.ts'
import { readUser } from './user-read.ts'
import { writeUser } from './user-write.ts'
import { listUsers } from './users-list.ts'
import { writeUsers } from './users-write.ts'

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
