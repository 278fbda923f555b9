import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { readParsed } from '#admin/request/body.ts'
import { byOf } from '#admin/request/by.ts'
import type { AdminContext } from '#admin/request/context.ts'
import { withNamedUser } from '#admin/users/input.ts'
import { userPath } from '#admin/users/schemas.ts'
import { createClaimCode, type NewClaim } from '#core/claim.ts'
import { createProblem } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { allows } from '#core/scopes.ts'
import { bearerOf } from '#http/credential.ts'
import { baseOfLinks, linkOf } from './link.ts'
import { claimSchemas } from './schemas.ts'
import { parseClaim, toClaimAnswer } from './wire.ts'

/** POST /admin/users/{token}/claim: a link that shows the access token once to the holder who opens it. */
export const createClaim: Operation = {
  need: 'tokens:reveal',
  tag: 'Claim links',
  summary: 'Make a link that shows the access token once',
  description:
    'For handing an access token out without writing it into a chat: the holder opens the link, confirms, and sees it. ' +
    'An open link of the same user ends. The link shows the access token that the user has when it is used. An unknown ' +
    'field is an error here.',
  request: { params: userPath, query: noParameters, body: jsonBody(claimSchemas.input) },
  answer: { description: 'The link, shown this once', schema: claimSchemas.created },
  refusals: [...bodyRefusals, 'not_found', 'conflict'],
  async handle(c, parts) {
    const input = await readParsed(c, parts, parseClaim)
    if (input.kind === 'refused') return input
    const { validMs, ...rest } = input.value
    const key = c.get('adminKey')
    if (rest.rotation && !allows(key?.scopes ?? [], 'users:write'))
      return refused(
        createProblem('forbidden', 'A link with "rotate" needs the scope "users:write" as well.'),
      )
    const base = baseOfLinks(c, parts)
    if (base.kind === 'refused') return base
    return withNamedUser(c, parts, async ({ id: userId }) => {
      const code = createClaimCode()
      const by = byOf(c, parts)
      const expiresAt = Math.min(by.now + validMs, key?.expiresAt ?? Number.POSITIVE_INFINITY)
      const claim = { ...rest, userId, code, expiresAt, madeWith: madeWith(c) }
      const made = await parts.store.claims.insertClaim(claim, by)
      if (!made) return refused(createProblem('not_found'))
      return answered({ ...toClaimAnswer(made), link: linkOf(base.value, code) })
    })
  },
}

function madeWith(c: AdminContext): NewClaim['madeWith'] {
  const session = c.get('session')
  if (session) return { sessionId: session.id }
  const keyId = c.get('adminKey')?.id
  const secret = bearerOf(c.req.header('authorization'))
  if (keyId === undefined || secret === undefined)
    throw new Error('a request without an admin key has passed the guard')
  return { keyId, secret }
}
