import { type Family, familyOf, isCaughtAll } from '#core/family.ts'
import { formsOf } from '#core/model-name.ts'
import { besideMax, type UsageBeside } from '#core/settlement.ts'
import { addUsage, leastOf, noUsage, type Usage, unitsOf, withoutUsage } from '#core/usage.ts'
import type { ModelRequest } from '#providers/model-request.ts'
import type { AnswerModels } from '#providers/provider.ts'
import type { Upstream } from '#upstreams/upstream.ts'
import type { Charge } from './charge.ts'

/** What decides to which families a charge counts. */
export interface Asked {
  readonly request: Pick<ModelRequest, 'model' | 'elsewhere'>
  readonly families: readonly Family[]
  /** The upstream that answered. */
  readonly upstream: Pick<Upstream, 'upstreamNameOf'> | undefined
}

/**
 * Takes the usage of other families' models out of a charge, if the request named such models and the answer says which
 * of them ran. The rest stays with the request's own family, where it was reserved. So does the usage of an unknown
 * model, or of a family that the request did not name: the user may have a limit there that was not checked.
 */
export function apportion(charge: Charge, models: AnswerModels, asked: Asked): Charge {
  if (charge.ending !== 'settled') return charge
  const shares = new Map<string, UsageBeside>()
  let own = noUsage
  let left = charge.usage

  /** Counts this much of the remaining usage to a model's family. */
  function count(model: string, usage: Usage): void {
    const share = shareOf(model, asked)
    const counted = leastOf(left, usage)
    if (share === undefined || unitsOf(counted) === 0) return
    if (share === 'own') own = addUsage(own, counted)
    else {
      const key = `${share.family}\n${share.model}`
      if (!shares.has(key) && shares.size >= besideMax) return
      shares.set(key, { ...share, usage: addUsage(shares.get(key)?.usage ?? noUsage, counted) })
    }
    left = withoutUsage(left, counted)
  }

  for (const { model, usage } of models.beside) count(model, usage)
  // This includes what unknown models used on the way.
  if (models.answered !== undefined) count(models.answered, left)
  if (shares.size === 0) return charge
  return { ...charge, usage: addUsage(own, left), beside: [...shares.values()] }
}

/** The other family that a model counts to, and the model's name; undefined if its family cannot be told. */
function shareOf(
  model: string,
  { request, families, upstream }: Asked,
): Omit<UsageBeside, 'usage'> | 'own' | undefined {
  const { names = [], isOpen = false } = request.elsewhere ?? {}
  const forms = new Set(formsOf(model))
  const isSame = (name: string) => formsOf(name).some((form) => forms.has(form))
  // The request's own model is compared first, so that no alias of it counts to another quota.
  if (isSame(request.model) || (upstream && isSame(upstream.upstreamNameOf(request.model)))) return 'own'
  const named = names.find(isSame)
  const family =
    named !== undefined || !isCaughtAll(model, families) ? familyOf(named ?? model, families) : undefined
  if (family === undefined) return undefined
  if (family === familyOf(request.model, families)) return 'own'
  const isExpected = isOpen || names.some((name) => familyOf(name, families) === family)
  return isExpected ? { family, model: named ?? model } : undefined
}
