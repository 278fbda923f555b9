import { maySeeModel, type Policy } from '#core/admission.ts'
import type { Clock } from '#core/clock.ts'
import { createNotServed } from '#core/errors.ts'
import type { UserLimits } from '#core/limits.ts'
import { refused } from '#core/reading.ts'
import type { ReadingRate } from '#http/reading-rate.ts'
import { type Read, read } from '#lib/reading.ts'
import type { ListedModel } from '#providers/provider.ts'
import { answerOf } from './asking.ts'
import { authenticate, type IntakeContext, type Refusal } from './intake.ts'
import type { ModelDirectory } from './model-directory.ts'
import type { Visit } from './visit.ts'

export interface ModelsContext {
  readonly intake: IntakeContext
  readonly directory: ModelDirectory
  readonly policy: Policy
  readonly clock: Clock
  readonly readingRate: ReadingRate
  /** The limits of the user with this access token. */
  readonly limitsOf: (accessToken: string) => Promise<UserLimits | undefined>
}

/** A protocol's list of models: the models that are served here and that this user may ask for. */
export async function listModels(visit: Visit, context: ModelsContext): Promise<Refusal | Read<string>> {
  const seen = await modelsFor(visit, context)
  if (seen.kind === 'refused') return seen
  return read(visit.provider.renderModelList(seen.value))
}

/** One model of the list. A model that the user may not see is answered as not found. */
export async function showModel(
  visit: Visit,
  id: string,
  context: ModelsContext,
): Promise<Refusal | Read<string>> {
  const seen = await modelsFor(visit, context)
  if (seen.kind === 'refused') return seen
  const model = seen.value.find((each) => each.id === id)
  if (!model) return refused(createNotServed(id))
  return read(visit.provider.renderModel(model))
}

async function modelsFor(
  visit: Visit,
  context: ModelsContext,
): Promise<Refusal | Read<readonly ListedModel[]>> {
  const credential = context.intake.credentialOf(visit.request.headers)
  const tooOften = credential === undefined ? undefined : context.readingRate.take(credential)
  if (tooOften) return refused(tooOften)
  const authenticated = await authenticate(visit, context.intake)
  if (authenticated.kind === 'refused') {
    if (credential !== undefined && authenticated.problem.code === 'unknown_access_token')
      context.readingRate.forget(credential)
    return authenticated
  }
  const limits = await answerOf(context.limitsOf(authenticated.accessToken), visit, context.intake)
  if (limits.kind === 'refused') return limits
  const models = await context.directory(visit.provider)
  const own = limits.value ?? {}
  return read(models.filter(({ id }) => maySeeModel(own, id, context.policy)))
}
