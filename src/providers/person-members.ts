import type { Form } from '#lib/form-fields.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { editsWithin } from './body-edits.ts'
import type { BodyEdit } from './model-request.ts'

/**
 * The members of a request that name the person behind it, each by the names that lead to it from the top of the body:
 * one name, or that of an object and of its member. The first one that is there counts.
 */
export type PersonMembers = readonly (readonly [string] | readonly [string, string])[]

/** A body with what was found in it. */
export interface NamingBody {
  readonly body: Buffer
  readonly members: JsonMembers
  readonly form?: Form | undefined
}

/** The value that names the person; undefined where no value does. */
export function valueOfPerson(named: PersonMembers, { body, members, form }: NamingBody): unknown {
  for (const [outer, inner] of named) {
    if (form && inner === undefined && form.fields.has(outer)) return form.fields.get(outer)?.value
    const member = members.byKey.get(outer)
    if (!member) continue
    const value: unknown = parsed(body.subarray(member.start, member.end))
    if (inner === undefined) return value
    const found = isObject(value) ? value[inner] : undefined
    if (found !== undefined) return found
  }
  return undefined
}

/** The edits that put a name which says nothing in the place of each of these members. */
export function personEdits(
  named: PersonMembers,
  { body, members, form }: NamingBody,
  alias: string,
): readonly BodyEdit[] {
  return named.flatMap(([outer, inner]): readonly BodyEdit[] => {
    if (form) {
      const field = inner === undefined ? form.fields.get(outer) : undefined
      return field ? [{ start: field.start, end: field.end, text: alias }] : []
    }
    const member = members.byKey.get(outer)
    if (!member) return []
    const { start, end } = member
    const text = JSON.stringify(alias)
    if (inner === undefined) return [{ start, end, text }]
    if (readMembers(body.subarray(start, end)).kind === 'read')
      return editsWithin(body, members, outer, (_, { byKey }) => {
        const found = byKey.get(inner)
        return found ? [{ start: found.start, end: found.end, text }] : []
      })
    // It is no object, or names something twice: which of them the upstream reads is not known.
    return [{ start, end, text: JSON.stringify({ [inner]: alias }) }]
  })
}

function parsed(json: Buffer): unknown {
  try {
    return JSON.parse(json.toString())
  } catch {
    return undefined
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
