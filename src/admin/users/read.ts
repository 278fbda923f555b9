import type { Operation } from '#admin/operation.ts'
import { answerUser, describeUser } from './answer.ts'
import { readUserRef } from './input.ts'
import { userPath } from './schemas.ts'
import type { UserWire } from './wire.ts'

/** GET /admin/users/{token} */
export function readUser(wire: UserWire): Operation {
  return {
    summary: 'Get a user by token',
    request: { params: userPath },
    answer: describeUser(wire, 'A user'),
    refusals: ['bad_request', 'not_found'],
    async handle(c, { store, clock }) {
      const ref = readUserRef(c)
      if (ref.kind === 'refused') return ref
      return answerUser(c, wire, await store.users.findUser(ref.value, clock()))
    },
  }
}
