import type { UserWire } from '#admin/users/wire.ts'
import { type FrontEnd, type FrontEndSettings, peopleMaxDefault, userJwtHeader } from '#core/front-end.ts'
import { invalid, type Parsed, parseBy } from '#core/parsed.ts'
import { present } from '#lib/present.ts'
import { read } from '#lib/reading.ts'
import type { FrontEndSecret } from '#storage/store/front-ends.ts'
import {
  createFrontEndSchemas,
  type FrontEndAnswer,
  type FrontEndInput,
  type FrontEndSchemas,
} from './schemas.ts'

/** Converts front ends between the wire and the domain. */
export interface FrontEndWire {
  readonly schemas: FrontEndSchemas
  readonly parse: (value: unknown) => Parsed<Wanted>
  readonly toAnswer: (frontEnd: FrontEnd, people: number) => FrontEndAnswer
}

interface Wanted {
  readonly settings: FrontEndSettings
  readonly secret: FrontEndSecret
}

export function createFrontEndWire(users: UserWire): FrontEndWire {
  const schemas = createFrontEndSchemas(users.schemas)
  return {
    schemas,
    parse(value) {
      const input = parseBy(schemas.input, value)
      if (input.kind === 'invalid') return input
      const wrong = wrongIn(input.value)
      return wrong ? invalid(...wrong) : read(toWanted(input.value, users))
    },
    toAnswer: ({ settings, secret }, people) => ({
      kind: settings.kind,
      hasSecret: secret !== undefined,
      required: settings.isRequired,
      peopleMax: settings.peopleMax,
      template: { ...settings.shownTemplate },
      people,
      ...present({
        header: settings.header,
        networks: settings.networks && [...settings.networks],
        expiresAfterDays: settings.expiresAfterDays,
      }),
    }),
  }
}

/** Which member does not go with the others, and why. */
function wrongIn({
  kind,
  header,
  secret,
  networks,
  template,
  expiresAfterDays,
}: FrontEndInput): [path: string, message: string] | undefined {
  if (kind === 'header' && header === undefined) return ['header', 'is required for this kind']
  if (kind === 'header' && networks === undefined)
    return [
      'networks',
      'is required for this kind: any program that holds the access token could name any person',
    ]
  if (kind === 'member' && header !== undefined) return ['header', 'does not go with this kind']
  if (kind !== 'jwt' && secret !== undefined) return ['secret', 'does not go with this kind']
  if (template?.type === 'temporary' && expiresAfterDays === undefined)
    return ['expiresAfterDays', 'is required for temporary users']
  return undefined
}

function toWanted(input: FrontEndInput, { toTemplate }: UserWire): Wanted {
  const { kind, header, secret, networks, required = false, expiresAfterDays, template = {} } = input
  const named = kind === 'jwt' ? (header ?? userJwtHeader) : header
  const settings: FrontEndSettings = {
    kind,
    isRequired: required,
    peopleMax: input.peopleMax ?? peopleMaxDefault,
    template: toTemplate(template),
    shownTemplate: template,
    ...present({ header: named?.toLowerCase(), networks, expiresAfterDays }),
  }
  return { settings, secret: secretOf(kind, secret) }
}

function secretOf(kind: FrontEndInput['kind'], secret: string | undefined): FrontEndSecret {
  if (kind !== 'jwt') return { kind: 'none' }
  return secret === undefined ? { kind: 'kept' } : { kind: 'new', secret }
}
