import { scopes } from '#core/scopes.ts'
import type { Person } from '#core/sign-on.ts'
import { text } from '#storage/schema/columns.ts'

/** A person as its session remembers it. A value that cannot be read throws: a session must never allow more than it did. */
export function parsePerson(value: unknown): Person {
  const stored: unknown = JSON.parse(text(value))
  if (typeof stored !== 'object' || stored === null) throw unreadable()
  const of = (name: string): unknown => Reflect.get(stored, name)
  return {
    issuer: text(of('issuer')),
    subject: text(of('subject')),
    name: text(of('name')),
    groups: textsOf(of('groups')),
    scopes: textsOf(of('scopes')).map((each) => scopes.find((scope) => scope === each) ?? fail()),
  }
}

function textsOf(value: unknown): readonly string[] {
  if (!Array.isArray(value)) throw unreadable()
  return value.map(text)
}

function fail(): never {
  throw unreadable()
}

function unreadable(): TypeError {
  return new TypeError('the person of a session cannot be read')
}
