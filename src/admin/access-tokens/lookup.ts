import { bodyRefusals, jsonBody, noParameters, type Operation } from '#admin/operation.ts'
import { readParsed } from '#admin/request/body.ts'
import { asGuess } from '#admin/request/token-guess.ts'
import { tokenSightOf } from '#admin/request/token-sight.ts'
import { answerUser, describeUser } from '#admin/users/answer.ts'
import { withUser } from '#admin/users/input.ts'
import type { UserWire } from '#admin/users/wire.ts'
import { accessTokenSchemas } from './schemas.ts'
import { parseLookup } from './wire.ts'

/**
 * POST /admin/tokens/lookup: whose access token this is. A leaked one is named in the body: URLs are kept by shells,
 * proxies and browsers.
 */
export function lookUpAccessToken(wire: UserWire): Operation {
  return {
    need: 'users:read',
    tag: 'Access tokens',
    summary: 'Find the user of an access token',
    description:
      'For a token that leaked: the body names it, so that it stands in no URL. 404 where it is unknown.',
    request: { query: noParameters, body: { ...jsonBody(accessTokenSchemas.lookup), required: true } },
    answer: describeUser(wire, 'The user'),
    refusals: [...bodyRefusals, 'not_found', 'conflict'],
    async handle(c, parts) {
      const accessToken = await readParsed(c, parts, (value) => parseLookup(value, tokenSightOf(c)))
      if (accessToken.kind === 'refused') return accessToken
      const ref = { accessToken: accessToken.value }
      return asGuess(c, parts, ref.accessToken, () =>
        withUser(c, parts, ref, async (user) => answerUser(c, wire, user)),
      )
    },
  }
}
