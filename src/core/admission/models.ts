import {
  type AdmissionRequest,
  mayUseModel,
  type Policy,
  type Refused,
  refuse,
  type UserState,
} from '#core/admission.ts'
import { isCaughtAll } from '#core/family.ts'
import { UNLIMITED } from '#core/user.ts'
import { takesAnything } from '#lib/glob.ts'

type Elsewhere = NonNullable<NonNullable<AdmissionRequest['units']>['elsewhere']>

/**
 * A request that may reach other models than its own. Each is subject to the user's list. What they use is counted to
 * the request's family, since an answer does not say reliably which of them used what. So a model of another family
 * with a limit is refused: its usage would not count there.
 */
export function whetherStraying(
  user: UserState,
  own: string,
  { models, isOpen }: Elsewhere,
  policy: Policy,
): Refused | undefined {
  const allowed = user.limits.allowedModels ?? policy.defaults.allowedModels
  for (const { model, family } of models) {
    if (family === undefined) return refuse('model_not_served', `The model ${model} is not served here.`)
    if (!mayUseModel(allowed, model, family))
      return refuse('model_not_allowed', `This access token may not use the model ${model}.`)
    if (family !== own && isFamilyLimited(user, family, policy)) {
      const why = `the quota of ${family} is apart from that of ${own}. Ask for it in a request of its own.`
      return refuse('model_not_allowed', `The model ${model} may not be reached from here: ${why}`)
    }
  }
  if (!isOpen) return undefined
  const isNarrow = allowed !== undefined && allowed.length > 0
  if (!isNarrow && !isLimitedBeside(user, own, policy)) return undefined
  const message =
    'This access token is limited to some models, or in what it uses of them, and this request may lead to others: ' +
    'name them instead of a preset or a default.'
  return refuse('model_not_allowed', message)
}

/** Whether the user has a limit in another family, which an unknown model could evade. */
export function isLimitedBeside(user: UserState, own: string, policy: Policy): boolean {
  const families = [...policy.families.map(({ name }) => name), ...(user.quotas?.keys() ?? [])]
  return families.some((family) => family !== own && isFamilyLimited(user, family, policy))
}

/**
 * Whether a name that no upstream lists may evade a limit: a name that only a catch-all matches may be another spelling
 * of any model; a name of a family without a limit may lead to a model that the catch-all's own limit is for.
 */
export function isEvasive(
  user: UserState,
  family: string,
  { model, elsewhere }: NonNullable<AdmissionRequest['units']>,
  policy: Policy,
): boolean {
  const names = [model, ...(elsewhere?.models ?? []).map((other) => other.model)]
  if (names.some((name) => isCaughtAll(name, policy.families))) return true
  if (isFamilyLimited(user, family, policy)) return false
  return policy.families.some(
    ({ name, models }) =>
      name !== family && models.some(takesAnything) && isFamilyLimited(user, name, policy),
  )
}

function isFamilyLimited(user: UserState, family: string, policy: Policy): boolean {
  const limit = user.quotas?.get(family)?.limit ?? policy.limits[family] ?? UNLIMITED
  return limit !== UNLIMITED && user.type !== 'special'
}
