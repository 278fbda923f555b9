import { addUnits, toNeed } from './units.ts'
import { type HeldWeights, outputWithin, plainWeights, toWhole } from './weights.ts'

/**
 * How much output a limited user's request holds. Coding agents ask for 128,000 and use 500: holding all of it would
 * block their user's other requests. So a bound of at most `floor` is held as it is; a larger one is lowered to the
 * larger of `floor` and a share of what is left, and the gateway writes that into the request. Every hold has to fit,
 * so that the sum of all holds never passes the limit.
 */

export interface OutputPolicy {
  /** A bound of an answer up to this is held as it is, and a larger one is never lowered below this. */
  readonly floor: number
  /** The part of what is left, 0 to 1, that one request may hold for its output. */
  readonly share: number
  /** The most that is held for an answer without a bound. */
  readonly unstated: number
  /** A request without a bound is refused where its answer could have less than this. */
  readonly least: number
}

export const outputPolicyDefault: OutputPolicy = { floor: 8192, share: 0.25, unstated: 32_768, least: 64 }

/** The units that a request asks for. */
export interface OutputAsked {
  /** Estimated input. */
  readonly input: number
  /** How much of it is output that nothing bounds; absent: nothing. */
  readonly outputAmongInput?: number | undefined
  /** The most output the request allows, over all its choices; undefined where it does not say. */
  readonly output: number | undefined
  /** How many answers it asks for; each of them has the cap. */
  readonly choices: number
  /** The smallest bound of an answer that the provider takes for this request; absent: any. */
  readonly leastCap?: number
  /** The largest bound that it takes where the request states none; absent: any. */
  readonly mostCap?: number | undefined
  /** Whether a stated bound may be lowered: the caller writes the cap into the request. */
  readonly mayLower?: boolean
  /** Another model that this one may consult; the caller writes its bounds into the request. */
  readonly advisor?: AdvisorAsked | undefined
}

/** The bounds of the advisor in a request; undefined where it sets none. */
export interface AdvisorAsked {
  readonly uses: number | undefined
  /** The most output of each use. */
  readonly output: number | undefined
}

/** The bounds of an advisor that its hold allows. */
export interface AdvisorMost {
  readonly uses: number
  readonly output: number
}

/** Units are those of the quota; bounds of answers are LLM units, as they go into a request. */
export interface OutputNeed {
  /** Input and output together, which have to fit. */
  readonly units: number
  /** The output in `units`. */
  readonly output: number
  /** The most output of each answer. */
  readonly most: number
  /** The same, where it has to be written into the request. */
  readonly cap: number | undefined
  /** `leastCap`, where it is the reason why the need is not smaller. */
  readonly least?: number
  /** The advisor's bounds, and its part of `units`. */
  readonly advisor?: AdvisorMost & { readonly units: number }
}

/** The need of a request in a quota of which `left` units are left. */
export function needOf(
  asked: OutputAsked,
  left: number,
  policy: OutputPolicy,
  weights: HeldWeights = plainWeights,
): OutputNeed {
  if (!asked.advisor) return answerNeedOf(asked, left, policy, weights).need
  // The other half is for the advisor.
  const { need, size } = answerNeedOf(asked, Math.floor(left / 2), policy, weights)
  const advisor = advisorNeedOf(asked.advisor, size, left - need.units, left, policy, weights)
  return { ...need, units: addUnits(need.units, advisor.units), advisor }
}

/** The units that input and so much output hold. */
export function heldFor(asked: OutputAsked, output: number, weights: HeldWeights): number {
  return toNeed(toWhole(heldInput(asked, weights) + output * weights.output, weights.scale))
}

/** In parts of units. */
function heldInput({ input, outputAmongInput = 0 }: OutputAsked, weights: HeldWeights): number {
  const more = toNeed(outputAmongInput) * Math.max(0, weights.output - weights.input)
  return toNeed(input) * weights.input + more
}

/** The bound of an advisor that states none, which its provider recommends, and the smallest that it takes. */
const [advisorUsual, advisorLeast] = [2048, 1024]
/** Written where the uses count nothing and the request does not bound them. */
const advisorUsesFree = 1000

/**
 * Each use reads the whole conversation, at most the units held for the answer, and the advice of earlier uses. As many
 * uses are held as fit into the share of what is left, but at least one.
 *
 * @param reads LLM units of the conversation
 * @param room what is left beside the answer
 */
function advisorNeedOf(
  asked: AdvisorAsked,
  reads: number,
  room: number,
  left: number,
  policy: OutputPolicy,
  weights: HeldWeights,
): NonNullable<OutputNeed['advisor']> {
  const { scale, input: ofInput, output: ofOutput } = weights
  const stated = Math.min(asked.output ?? advisorUsual, Math.max(advisorLeast, policy.floor))
  const affordable = Math.floor(outputWithin(room * scale - reads * ofInput, weights))
  const output = Math.max(Math.min(stated, advisorLeast), Math.min(stated, affordable))
  const partsOf = (uses: number) =>
    uses * reads * ofInput + (output * uses * (uses - 1) * ofInput) / 2 + output * uses * ofOutput
  const budget = Math.max(0, Math.min(room, left * policy.share)) * scale
  // Where `partsOf` is the budget; below one use there is no root to look for.
  const [slope, curve] = [reads * ofInput + output * (ofOutput - ofInput / 2), output * ofInput]
  const root = curve > 0 ? (Math.sqrt(slope * slope + 2 * curve * budget) - slope) / curve : budget / slope
  const fitting = slope === 0 && curve === 0 ? advisorUsesFree : Math.floor(root)
  const uses = Math.max(1, Math.min(asked.uses ?? fitting, fitting))
  return { uses, output, units: toNeed(toWhole(partsOf(uses), scale)) }
}

/** @returns beside the need how much it reads and writes in LLM units */
function answerNeedOf(
  asked: OutputAsked,
  left: number,
  policy: OutputPolicy,
  weights: HeldWeights,
): { readonly need: OutputNeed; readonly size: number } {
  const choices = Math.max(1, toNeed(asked.choices))
  const stated = asked.output === undefined ? undefined : toNeed(asked.output)
  const needing = (output: number, bounds: Pick<OutputNeed, 'most' | 'cap' | 'least'>) => ({
    need: {
      units: heldFor(asked, output, weights),
      output: toNeed(toWhole(output * weights.output, weights.scale)),
      ...bounds,
    },
    size: addUnits(toNeed(asked.input), output),
  })
  if (stated !== undefined && asked.mayLower !== true) {
    return needing(stated, { most: Math.floor(stated / choices), cap: undefined })
  }
  const each = stated === undefined ? undefined : Math.floor(stated / choices)
  const leastCap = Math.max(1, toNeed(asked.leastCap ?? 1))
  const unstated = Math.min(policy.unstated, asked.mostCap ?? policy.unstated)
  const roomFor = (parts: number) => Math.floor(outputWithin(parts, weights) / choices)
  const room = roomFor(left * weights.scale - heldInput(asked, weights))
  const share = roomFor(left * weights.scale * policy.share)
  const most =
    each === undefined
      ? Math.max(
          leastCap,
          Math.min(policy.least, unstated),
          Math.min(Math.max(policy.floor, share), unstated, room),
        )
      : Math.min(each, Math.max(policy.floor, leastCap, Math.min(share, room)))
  return needing(toNeed(most * choices), {
    most,
    cap: most === each ? undefined : most,
    ...(leastCap > 1 && most === leastCap && most !== each && { least: leastCap }),
  })
}
