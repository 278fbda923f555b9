import fc from 'fast-check'

/**
 * Values from the JSON schemas of the API's description: those that a schema allows, and those near it that it does not.
 */
export type Schema = Readonly<Record<string, unknown>>

export interface Ways {
  /** Finds what a `$ref` of the document names. */
  readonly resolve: (schema: Schema) => Schema
  /** Values of members that the rules behind a schema accept, by name: without them few requests would come through. */
  readonly known: Readonly<Record<string, fc.Arbitrary<unknown>>>
}

/** Texts that programs trip over, and numbers at bounds of their own. */
const oddTexts = [
  '',
  ' ',
  '\0',
  '\n',
  '\ud83d\ude00',
  '\ud800',
  '%',
  '../..',
  'null',
  '__proto__',
  'x'.repeat(2000),
]
const oddNumbers = [
  0,
  -1,
  0.5,
  1e12,
  1e12 + 1,
  2 ** 31,
  2 ** 53,
  2 ** 63,
  1e300,
  -1e300,
  8.64e15,
  8.64e15 + 1,
]
const junk = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, [], {}, [[]], ...oddTexts, ...oddNumbers),
  fc.jsonValue({ maxDepth: 2 }),
)

/** Values that the schema allows. */
export function valuesOf(schema: Schema, ways: Ways, depth = 0): fc.Arbitrary<unknown> {
  const own = ways.resolve(schema)
  if ('const' in own) return fc.constant(own.const)
  if (Array.isArray(own.enum)) return fc.constantFrom(...(own.enum as unknown[]))
  const choices = own.anyOf ?? own.oneOf
  // Beside properties they say which of these stand together.
  if (Array.isArray(choices) && own.properties === undefined)
    return fc.oneof(...choices.map((each: Schema) => valuesOf(each, ways, depth + 1)))
  if (Array.isArray(own.allOf)) return valuesOf(merged(own, ways), ways, depth)
  if (Array.isArray(own.type))
    return fc.oneof(...own.type.map((type: string) => valuesOf({ ...own, type }, ways, depth)))
  switch (own.type) {
    case 'null':
      return fc.constant(null)
    case 'boolean':
      return fc.boolean()
    case 'integer':
      return integers(own)
    case 'number':
      return fc.double({ ...numberBounds(own), noNaN: true, noDefaultInfinity: true })
    case 'string':
      return texts(own)
    case 'array':
      return lists(own, ways, depth)
    case 'object':
      return objects(own, ways, depth)
    default:
      return junk
  }
}

/** Values with one place of them spoilt: replaced, left out, or beside a member that is not known. */
export function spoilt(values: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc
    .tuple(values, fc.nat(), junk, fc.constantFrom('replace', 'replace', 'remove', 'add'))
    .map(([value, place, other, how]) => {
      const copy: unknown = structuredClone(value)
      const places = placesIn(copy)
      const at = places[place % Math.max(1, places.length)]
      if (!at) return other
      const { holder, key } = at
      if (how === 'remove') Reflect.deleteProperty(holder, key)
      else Reflect.set(holder, how === 'add' && !Array.isArray(holder) ? `${key}X` : key, other)
      return copy
    })
}

export { junk }

interface Place {
  readonly holder: object
  readonly key: string
}

function placesIn(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [{ holder: value, key }, ...placesIn(inner)])
}

function merged({ allOf, ...rest }: Schema, ways: Ways): Schema {
  const parts = [...(allOf as Schema[]).map((each) => ways.resolve(each)), rest]
  return {
    ...Object.assign({}, ...parts),
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    required: parts.flatMap(({ required }) => (required ?? []) as string[]),
  }
}

function numberBounds({ minimum, maximum }: Schema) {
  return { min: (minimum as number) ?? -1e15, max: (maximum as number) ?? 1e15 }
}

function integers(schema: Schema): fc.Arbitrary<number> {
  const { min, max } = numberBounds(schema)
  return fc.oneof(
    fc.maxSafeInteger().map((number) => min + (Math.abs(number) % (Math.min(max, 2 ** 53 - 1) - min + 1))),
    fc.constantFrom(min, Math.min(max, 2 ** 53 - 1), Math.min(max, min + 1)),
  )
}

function texts({ pattern, format, minLength = 0, maxLength = 40 }: Schema): fc.Arbitrary<string> {
  if (typeof pattern === 'string') return fc.stringMatching(new RegExp(pattern))
  if (format === 'date-time')
    return fc
      .date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true })
      .map((date) => date.toISOString())
  const bounds = { minLength: minLength as number, maxLength: Math.min(maxLength as number, 300) }
  return fc.oneof(
    fc.string({ ...bounds, unit: 'grapheme-ascii' }),
    fc.string({ ...bounds, unit: 'grapheme', maxLength: Math.max(bounds.minLength, bounds.maxLength >> 2) }),
  )
}

/** Mostly what is known to be accepted. */
export function likely(
  known: fc.Arbitrary<unknown> | undefined,
  other: fc.Arbitrary<unknown>,
): fc.Arbitrary<unknown> {
  if (!known) return other
  return fc.oneof({ weight: 9, arbitrary: known }, { weight: 1, arbitrary: other })
}

function lists({ items, minItems = 0, maxItems = 5 }: Schema, ways: Ways, depth: number) {
  const maxLength = Math.max(minItems as number, Math.min(maxItems as number, depth > 3 ? 1 : 4))
  return fc.array(items ? valuesOf(items as Schema, ways, depth + 1) : junk, {
    minLength: minItems as number,
    maxLength,
  })
}

/** Whether an object has the members of one of the alternatives, and of one only. */
function isOneOf(value: object, alternatives: unknown): boolean {
  if (!Array.isArray(alternatives)) return true
  const met = alternatives.filter(({ required }: Schema) =>
    (required as string[]).every((name) => Object.hasOwn(value, name)),
  )
  return met.length === 1
}

function objects(
  { properties = {}, required = [], additionalProperties, oneOf }: Schema,
  ways: Ways,
  depth: number,
): fc.Arbitrary<unknown> {
  const members = Object.fromEntries(
    Object.entries(properties as Record<string, Schema>).map(([name, each]) => [
      name,
      likely(ways.known[name], valuesOf(each, ways, depth + 1)),
    ]),
  )
  const described = fc
    .record(members, { requiredKeys: required as string[], noNullPrototype: true })
    .filter((value) => isOneOf(value, oneOf))
  if (typeof additionalProperties !== 'object' || additionalProperties === null) return described
  const more = fc.dictionary(
    fc.string({ minLength: 1, maxLength: 12 }),
    valuesOf(additionalProperties as Schema, ways, depth + 1),
    { maxKeys: 3, noNullPrototype: true },
  )
  return fc.tuple(more, described).map(([beside, own]) => ({ ...beside, ...(own as object) }))
}
