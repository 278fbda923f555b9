import { type Family, familyOf, isCaughtAll } from '#core/family.ts'
import { formsOf } from '#core/model-name.ts'
import { besideMax, type UsageBeside } from '#core/settlement.ts'
import { addUsage, leastOf, noUsage, type Usage, unitsOf, withoutUsage } from '#core/usage.ts'
import type { AnswerModels, ModelRequest } from '#providers/provider.ts'
import type { Upstream } from '#upstreams/upstream.ts'
import type { Charge } from './charge.ts'

/** What a charge is told apart by. */
export interface Asked {
  readonly request: Pick<ModelRequest, 'model' | 'elsewhere'>
  readonly families: readonly Family[]
  /** The one that answered. */
  readonly upstream: Pick<Upstream, 'upstreamNameOf'> | undefined
}

/**
 * Sets apart what models of other families used, where a request named some and the answer says which of them it is of.
 * The rest stays with the request's own family, whose quota holds it: so does whatever is of a name that is not known, or
 * of a family that the request did not name, since the user may have a limit there that was not asked.
 */
export function apportion(charge: Charge, models: AnswerModels, asked: Asked): Charge {
  if (charge.ending !== 'settled') return charge
  const shares = new Map<string, UsageBeside>()
  let own = charge.usage

  /** Moves so much to a model of another family; what is of the request's own family stays. */
  function move(model: string, usage: Usage): void {
    const share = shareOf(model, asked)
    const key = share && `${share.family}\n${share.model}`
    if (!share || key === undefined || (!shares.has(key) && shares.size >= besideMax)) return
    const moved = leastOf(own, usage)
    if (unitsOf(moved) === 0) return
    own = withoutUsage(own, moved)
    shares.set(key, { ...share, usage: addUsage(shares.get(key)?.usage ?? noUsage, moved) })
  }

  for (const { model, usage } of models.beside) move(model, usage)
  // What was told of others by a name that is not known is counted where the answer is.
  if (models.answered !== undefined) move(models.answered, own)
  return shares.size === 0 ? charge : { ...charge, usage: own, beside: [...shares.values()] }
}

/** The family that a model counts to and its name, where that is not the request's own family. */
function shareOf(
  model: string,
  { request, families, upstream }: Asked,
): Omit<UsageBeside, 'usage'> | undefined {
  const { names = [], isOpen = false } = request.elsewhere ?? {}
  const forms = new Set(formsOf(model))
  const isSame = (name: string) => formsOf(name).some((form) => forms.has(form))
  // First the request's own, so that no other name for it leads to another quota.
  if (isSame(request.model) || (upstream && isSame(upstream.upstreamNameOf(request.model)))) return undefined
  const named = names.find(isSame)
  const family =
    named !== undefined || !isCaughtAll(model, families) ? familyOf(named ?? model, families) : undefined
  if (family === undefined || family === familyOf(request.model, families)) return undefined
  const isExpected = isOpen || names.some((name) => familyOf(name, families) === family)
  return isExpected ? { family, model: named ?? model } : undefined
}
