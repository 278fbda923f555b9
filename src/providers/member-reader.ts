import { createProblem, type Problem } from '#core/errors.ts'
import { toUnits } from '#core/units.ts'
import { holdsControl } from '#lib/control-characters.ts'
import type { JsonMembers } from '#lib/json-members.ts'
import { otherSpelling } from './spellings.ts'

/**
 * Reads the few members of a request that the gateway has to know; only their bytes are parsed. The first wrong member
 * becomes the `problem`, which the caller checks once, at the end.
 */
export interface MemberReader {
  readonly problem: () => Problem | undefined
  /**
   * The model's name; empty if there is a problem.
   *
   * @param named the model that the path names; the body must then name none
   */
  readonly model: (named?: string) => string
  /** Undefined if it is absent or null. */
  readonly boolean: (key: string) => boolean | undefined
  readonly integer: (key: string, bounds: IntegerBounds) => number | undefined
  /**
   * An amount that a request asks for. A value above the bound of every figure reads as that bound; the provider gets it
   * as it was sent, and decides whether it is valid. A value below 0 means "without a bound", as if the member were
   * absent.
   */
  readonly units: (key: string) => number | undefined
  /** Notes that a member is wrong. */
  readonly refuse: (key: string, message: string) => void
}

interface IntegerBounds {
  readonly min: number
  readonly max: number
}

const modelLengthMax = 256
/** The members that are read here are shorter than this. */
const memberBytesMax = 4096

export function createMemberReader(body: Buffer, members: JsonMembers): MemberReader {
  let problem: Problem | undefined

  function refuse(key: string, message: string): undefined {
    problem ??= createProblem('bad_request', message, { issues: [{ path: key, message }] })
  }

  /** The parsed value; undefined if it is absent, null or refused. */
  function read(key: string): unknown {
    const member = members.byKey.get(key)
    if (!member) return undefined
    if (member.end - member.start > memberBytesMax) return refuse(key, `The member ${key} is too long.`)
    try {
      return JSON.parse(body.toString('utf8', member.start, member.end)) ?? undefined
    } catch {
      return refuse(key, `The member ${key} is not valid JSON.`)
    }
  }

  function model(named?: string): string {
    const other = otherSpelling(members)
    if (other !== undefined)
      refuse(
        other.key,
        `The member ${other.name} must be spelled so: some servers read other spellings as well.`,
      )
    if (named !== undefined && members.byKey.has('model'))
      refuse('model', 'The path names the model, so the member model must be left out.')
    const value = named ?? read('model')
    if (value === undefined) refuse('model', 'You must provide a model: the member model is missing.')
    else if (typeof value !== 'string' || value === '' || holdsControl(value)) {
      refuse('model', 'The member model must be a non-empty string without control characters.')
    } else if (value.length > modelLengthMax) {
      refuse('model', `The member model must have at most ${modelLengthMax} characters.`)
    } else if (value.includes(',')) {
      // Some routers take it for a list, and run them all.
      refuse('model', 'The member model must name one model, without a comma.')
    } else return value
    return ''
  }

  function boolean(key: string): boolean | undefined {
    const value = read(key)
    if (value === undefined || typeof value === 'boolean') return value
    return refuse(key, `The member ${key} must be a boolean.`)
  }

  function integer(key: string, { min, max }: IntegerBounds): number | undefined {
    const value = read(key)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    return refuse(key, `The member ${key} must be a whole number of at least ${min} and at most ${max}.`)
  }

  function units(key: string): number | undefined {
    const value = read(key)
    if (value === undefined) return undefined
    if (typeof value !== 'number' || !Number.isSafeInteger(value))
      return refuse(key, `The member ${key} must be a whole number.`)
    return value < 0 ? undefined : toUnits(value)
  }

  return {
    problem: () => problem,
    model,
    boolean,
    integer,
    units,
    refuse,
  }
}
