import { isOwnAccessToken } from '#core/access-token.ts'
import { createThrottled } from '#core/errors.ts'
import { refused } from '#core/reading.ts'
import { isUserId } from '#core/user-id.ts'
import { percentDecoded } from '#lib/percent-decoded.ts'
import type { Answer } from './answer.ts'
import type { AdminContext, AdminParts } from './context.ts'
import { grantedSightOf } from './token-sight.ts'
import { addressOf } from './trace.ts'

/**
 * Answers about a user whom the request names by an access token. A key that sees tokens masked could find chosen ones by
 * trying, so that what it names in vain counts as a guess, as at the gateway. A key with `tokens:reveal` can read
 * them all, and is not held up; neither is a session of it, although it sees them masked.
 *
 * @param named the text that names the user, as far as it can be read
 */
export async function asGuess(
  c: AdminContext,
  { namedTokens, clientAddress, clock }: AdminParts,
  named: string | undefined,
  work: () => Promise<Answer>,
): Promise<Answer> {
  if (!grantedSightOf(c).isMasked || named === undefined || named === '' || isUserId(named)) return work()
  const taken = await namedTokens.take(addressOf(c, clientAddress), named, isOwnAccessToken)
  if (taken.kind === 'closed') return refused(createThrottled(taken.waitMs, clock()))
  const { guess } = taken
  try {
    const answer = await work()
    if (answer.kind === 'answered') {
      guess.admitted()
      return answer
    }
    const waitMs = answer.problem.code === 'not_found' ? guess.wrong() : guess.known()
    return waitMs === undefined ? answer : refused(createThrottled(waitMs, clock()))
  } finally {
    guess.dropped()
  }
}

/** What stands in the path at `{token}` of a route; undefined where the route has none. */
export function tokenInPath(c: AdminContext, template: string): string | undefined {
  const at = template.split('/').indexOf('{token}')
  return at < 0 ? undefined : percentDecoded(c.get('target').path.split('/')[at] ?? '')
}
