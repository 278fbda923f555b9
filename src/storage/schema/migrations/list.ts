import { foundation } from './0001-foundation.ts'
import { metering } from './0002-metering.ts'
import { bounds } from './0003-bounds.ts'
import { extras } from './0004-extras.ts'
import { inputCorrections } from './0005-input-corrections.ts'
import { requests } from './0006-requests.ts'
import { userRequests } from './0007-user-requests.ts'
import { weights } from './0008-weights.ts'
import { plainNames } from './0009-plain-names.ts'
import { tags } from './0010-tags.ts'
import { scopedKeys } from './0011-scoped-keys.ts'
import { instanceKeys } from './0012-instance-keys.ts'
import { changes } from './0013-changes.ts'
import { sessions } from './0014-sessions.ts'
import { oldTokens } from './0015-old-tokens.ts'
import { bulkRuns } from './0016-bulk-runs.ts'
import { changeEnds } from './0017-change-ends.ts'
import { secondFactors } from './0018-second-factors.ts'
import { purgedUsers } from './0019-purged-users.ts'
import { tokenDigests } from './0020-token-digests.ts'
import { claims } from './0021-claims.ts'
import { signOn } from './0022-sign-on.ts'
import { frontEnds } from './0023-front-ends.ts'
import { claimPersons } from './0024-claim-persons.ts'
import { actorKinds } from './0025-actor-kinds.ts'
import type { Migration } from './migration.ts'

/** Every migration, in order. */
export const migrations: readonly Migration[] = [
  foundation,
  metering,
  bounds,
  extras,
  inputCorrections,
  requests,
  userRequests,
  weights,
  plainNames,
  tags,
  scopedKeys,
  instanceKeys,
  changes,
  sessions,
  oldTokens,
  bulkRuns,
  changeEnds,
  secondFactors,
  purgedUsers,
  tokenDigests,
  claims,
  signOn,
  frontEnds,
  claimPersons,
  actorKinds,
]
