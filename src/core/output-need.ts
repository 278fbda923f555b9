import { addUnits, toNeed } from './units.ts'

/**
 * How much output a limited user's request holds. Coding agents ask for 128,000 and use 500: holding all of it would
 * keep every other request of theirs out. So only what is at most `floor` is held as it is stated; more is lowered to
 * the larger of `floor` and a share of what is left, and the gateway writes that into the request. Whatever is held
 * has to fit, so that the sum of all holds never passes the limit.
 */

export interface OutputPolicy {
  /** A bound of an answer up to here is held as it is, and no larger one is lowered below it. */
  readonly floor: number
  /** The part of what is left, 0 to 1, that one request may hold for its output. */
  readonly share: number
  /** The most that is held for an answer without a bound. */
  readonly unstated: number
  /** An answer without a bound that could have less than this is refused. */
  readonly least: number
}

export const outputPolicyDefault: OutputPolicy = { floor: 8192, share: 0.25, unstated: 32_768, least: 64 }

/** What a request asks for, in LLM units. */
export interface OutputAsked {
  /** Estimated input. */
  readonly input: number
  /** The most output the request allows, over all its choices; undefined where it does not say. */
  readonly output: number | undefined
  /** How many answers it asks for; a cap holds for each of them. */
  readonly choices: number
  /** The smallest bound of an answer that the provider takes for this request; absent: any. */
  readonly leastCap?: number
  /** The largest bound that it takes where the request states none; absent: any. */
  readonly mostCap?: number
  /** A stated bound may be lowered, since the caller writes the cap into the request. */
  readonly mayLower?: boolean
  /** Another model that this one may ask on the way; the caller writes its bounds into the request. */
  readonly advisor?: AdvisorAsked
}

/** What a request says of its advisor; undefined where it sets no bound. */
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

export interface OutputNeed {
  /** Everything that has to fit, input and output. */
  readonly units: number
  /** The output in it. */
  readonly output: number
  /** The most output of each answer. */
  readonly most: number
  /** The same where the request does not say it itself, so that it has to be written into it. */
  readonly cap: number | undefined
  /** `leastCap`, where nothing smaller was possible because of it. */
  readonly least?: number
  /** The advisor's bounds, and how much of `units` is for it. */
  readonly advisor?: AdvisorMost & { readonly units: number }
}

/** What a request needs of a quota in which `left` units are left. */
export function needOf(asked: OutputAsked, left: number, policy: OutputPolicy): OutputNeed {
  if (!asked.advisor) return answerNeedOf(asked, left, policy)
  // The other half is the advisor's.
  const answer = answerNeedOf(asked, Math.floor(left / 2), policy)
  const advisor = advisorNeedOf(asked.advisor, answer.units, left, policy)
  return { ...answer, units: addUnits(answer.units, advisor.units), advisor }
}

/** The bound of an advisor that states none, which its provider recommends, and the smallest that it takes. */
const [advisorUsual, advisorLeast] = [2048, 1024]

/**
 * Each use reads the whole conversation, at most everything that is held for the answer, and what was advised before. As
 * many uses are held as a share of what is left has room for, but one at least.
 */
function advisorNeedOf(
  asked: AdvisorAsked,
  reads: number,
  left: number,
  policy: OutputPolicy,
): NonNullable<OutputNeed['advisor']> {
  const room = left - reads
  const stated = Math.min(asked.output ?? advisorUsual, Math.max(advisorLeast, policy.floor))
  const output = Math.max(Math.min(stated, advisorLeast), Math.min(stated, room - reads))
  const unitsOf = (uses: number) => uses * reads + (output * uses * (uses + 1)) / 2
  const budget = Math.min(room, left * policy.share)
  // Where `unitsOf` is the budget; below one use there is no root to look for.
  const slope = reads + output / 2
  const fitting = Math.floor((Math.sqrt(slope * slope + 2 * output * Math.max(0, budget)) - slope) / output)
  const uses = Math.max(1, Math.min(asked.uses ?? fitting, fitting))
  return { uses, output, units: toNeed(unitsOf(uses)) }
}

function answerNeedOf(asked: OutputAsked, left: number, policy: OutputPolicy): OutputNeed {
  const input = toNeed(asked.input)
  const choices = Math.max(1, toNeed(asked.choices))
  const stated = asked.output === undefined ? undefined : toNeed(asked.output)
  if (stated !== undefined && asked.mayLower !== true) {
    return {
      units: addUnits(input, stated),
      output: stated,
      most: Math.floor(stated / choices),
      cap: undefined,
    }
  }
  const each = stated === undefined ? undefined : Math.floor(stated / choices)
  const leastCap = Math.max(1, toNeed(asked.leastCap ?? 1))
  const unstated = Math.min(policy.unstated, asked.mostCap ?? policy.unstated)
  const room = Math.floor((left - input) / choices)
  const share = Math.floor((left * policy.share) / choices)
  const most =
    each === undefined
      ? Math.max(
          leastCap,
          Math.min(policy.least, unstated),
          Math.min(Math.max(policy.floor, share), unstated, room),
        )
      : Math.min(each, Math.max(policy.floor, leastCap, Math.min(share, room)))
  const output = toNeed(most * choices)
  return {
    units: addUnits(input, output),
    output,
    most,
    cap: most === each ? undefined : most,
    ...(leastCap > 1 && most === leastCap && most !== each && { least: leastCap }),
  }
}
