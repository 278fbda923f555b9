import { z } from '@hono/zod-openapi'
import { bodyRefusals, jsonBody, type Operation } from '#admin/operation.ts'
import { written } from '#admin/request/answer.ts'
import { readJsonBody } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import { tokenSightOf } from '#admin/request/token-sight.ts'
import { lengthField } from '#admin/wire/fields.ts'
import { toIgnored } from '#admin/wire/unknown-members.ts'
import { createProblem } from '#core/errors.ts'
import { badInput } from '#core/issues.ts'
import { refused } from '#core/reading.ts'
import { unlessAnyDamaged } from './damaged.ts'
import { problemOf } from './input.ts'
import { ignoredField } from './schemas.ts'
import type { UserWire } from './wire.ts'

/** PUT /admin/users: creates or merges many users, all or none of them. */
export function writeUsers(wire: UserWire): Operation {
  const { schemas } = wire
  return {
    need: 'users:write',
    summary: 'Bulk upsert users',
    description:
      'All or none: one bad element changes nothing. Elements are applied in their order. 409 where stored rows are ' +
      'damaged: `issues` names their elements.',
    request: { body: { ...jsonBody(schemas.bulk), required: true } },
    answer: { description: 'The upserted users', schema: upserted(schemas.user) },
    refusals: [...bodyRefusals, 'conflict'],
    async handle(c, parts) {
      const { store, bulkUsersMax } = parts
      const sight = tokenSightOf(c)
      const body = await readJsonBody(c, parts, { member: 'users', itemsMax: bulkUsersMax })
      if (body.kind === 'refused') return body
      const parsed = await wire.parseBulk(body.value, bulkUsersMax, sight)
      if (parsed.kind === 'too_many') {
        const message = `At most ${bulkUsersMax} users in one call: send them in several, or raise BULK_USERS_MAX.`
        return refused(createProblem('body_too_large', message))
      }
      if (parsed.kind === 'invalid') return refused(badInput(parsed.issues))
      const { writes, ignored } = parsed.value
      const refs = writes.map(({ ref }) => ref)
      return unlessAnyDamaged(c, parts, refs, async () => {
        const result = await store.users.writeUserTexts(writes, byOf(c, parts), sight.isMasked)
        if (result.kind !== 'written') return refused(problemOf(result, `users[${result.index}]`))
        const rest = JSON.stringify({ count: result.count, ...toIgnored(ignored) }).slice(1)
        return written(
          Buffer.concat([Buffer.from('{"upserted_users":['), result.text, Buffer.from(`],${rest}`)]),
        )
      })
    },
  }
}

function upserted(user: z.ZodType) {
  return z
    .object({ upserted_users: z.array(user), count: lengthField(), ignored: ignoredField() })
    .openapi('UpsertedUsers')
}
