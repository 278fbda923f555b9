import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { type NamingBody, valueOfPerson } from '#providers/person-members.ts'
import type { Provider } from '#providers/provider.ts'
import type { KnownFrontEnd } from './known-front-end.ts'
import { type Name, nameFrom, noName, wrongName } from './name.ts'
import type { SignedNames } from './signed-names.ts'

/** A request that may name a person. */
export interface NamingVisit {
  readonly requestId: string
  readonly address: string
  readonly request: Pick<IncomingMessage, 'headersDistinct'>
  readonly provider: Pick<Provider, 'personMembers'>
}

/** Reads for whom a front end asks. A name from elsewhere than its networks counts as none. */
export function readName(
  frontEnd: KnownFrontEnd,
  visit: NamingVisit,
  parsed: NamingBody,
  signed: SignedNames,
): Name | Promise<Name> {
  const { settings, networks, key } = frontEnd
  if (networks && !networks(visit.address)) return noName
  if (settings.kind === 'member') {
    const value = valueOfPerson(visit.provider.personMembers, parsed)
    if (value === undefined || value === null) return noName
    return typeof value === 'string' ? nameFrom(value) : wrongName('The name of a person is a text.')
  }
  const [text, ...more] = visit.request.headersDistinct[settings.header ?? ''] ?? []
  if (more.length > 0) return wrongName('The person is named twice.')
  if (text === undefined || text === '') return noName
  if (settings.kind === 'jwt') return signed.read(text, key)
  return nameFrom(decoded(text))
}

/** node:http reads a header as Latin-1, and front ends send UTF-8. */
function decoded(text: string): string {
  const bytes = Buffer.from(text, 'latin1')
  return isUtf8(bytes) ? bytes.toString() : text
}
