import type { AdminHandler } from './context.ts'
import { createUser } from './user-create.ts'
import { disableUser } from './user-disable.ts'
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
]
