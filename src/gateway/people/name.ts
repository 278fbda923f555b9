import { createProblem, type Problem } from '#core/errors.ts'
import { type NamedPerson, personLengthMax } from '#core/front-end.ts'
import { holdsControl } from '#lib/control-characters.ts'

/** What a request says of the person behind it. */
export type Name =
  | { readonly kind: 'named'; readonly named: NamedPerson }
  | { readonly kind: 'none' }
  | { readonly kind: 'wrong'; readonly problem: Problem }

export const noName: Name = { kind: 'none' }

export function wrongName(message: string): Name {
  return { kind: 'wrong', problem: createProblem('person_unnamed', message) }
}

/** @param shown what administrators are to see; it is left out where it cannot be shown */
export function nameFrom(text: string, shown?: string): Name {
  const person = text.trim()
  if (person === '') return noName
  if (person.length > personLengthMax || !isPlain(person)) {
    const rule = `at most ${personLengthMax} characters without control characters`
    return wrongName(`The name of a person has ${rule}.`)
  }
  const nickname = shown?.trim()
  return {
    kind: 'named',
    named: { person, ...(nickname !== undefined && isPlain(nickname) && nickname !== '' && { nickname }) },
  }
}

function isPlain(text: string): boolean {
  return text.isWellFormed() && !holdsControl(text)
}
