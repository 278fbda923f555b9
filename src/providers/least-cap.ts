import { toUnits } from '#core/units.ts'
import { openObject } from '#lib/json-elements.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { boundOf } from './output-bounds.ts'

/**
 * The smallest output bound that providers accept for a request. They refuse a bound that does not exceed the request's
 * budget for thinking (`thinking.budget_tokens`, OpenRouter's `reasoning.max_tokens`), and vLLM one below `min_tokens`. 1
 * for a request without such members.
 */
export function leastCapOf(body: Buffer, members: JsonMembers): number {
  const wholeOf = (key: string) => numberIn(body, members, key)
  return Math.max(
    1,
    wholeOf('min_tokens'),
    wholeOf('min_new_tokens'),
    beyond(budgetIn(body, members, 'thinking', 'budget_tokens')),
    beyond(budgetIn(body, members, 'reasoning', 'max_tokens')),
  )
}

const objectBytesMax = 4096

function budgetIn(body: Buffer, members: JsonMembers, key: string, name: string): number {
  const member = members.byKey.get(key)
  if (!member || body[member.start] !== openObject || member.end - member.start > objectBytesMax) return 0
  const inner = body.subarray(member.start, member.end)
  const reading = readMembers(inner)
  return reading.kind === 'read' ? numberIn(inner, reading.value, name) : 0
}

function beyond(budget: number): number {
  return budget > 0 ? budget + 1 : 0
}

/** A positive whole number; any other value reads as 0. */
function numberIn(text: Buffer, { byKey }: JsonMembers, key: string): number {
  const member = byKey.get(key)
  return member ? toUnits(Math.max(0, boundOf(text, member) ?? 0)) : 0
}
