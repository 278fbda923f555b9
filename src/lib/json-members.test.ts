import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { findLastMember, type JsonMembers, readMembers, scanMembers } from './json-members.ts'

async function membersOf(text: string | Buffer, smallMax?: number): Promise<JsonMembers> {
  const reading = await scanMembers(Buffer.from(text), smallMax)
  assert.equal(reading.kind, 'read', reading.kind === 'invalid' ? reading.message : '')
  return reading.kind === 'read' ? reading.value : assert.fail()
}

async function messageOf(text: string | Buffer, smallMax?: number): Promise<string> {
  const reading = await scanMembers(Buffer.from(text), smallMax)
  return reading.kind === 'invalid' ? reading.message : assert.fail('was accepted')
}

const paths = [
  ['small', undefined],
  ['large', 0],
] as const

for (const [name, smallMax] of paths) {
  describe(`members of a ${name} body`, () => {
    it('agrees with JSON.parse on any object, however it is laid out', async () => {
      const indent = fc.constantFrom(0, 1, '\t', '\r\n ')
      const tree = fc.dictionary(
        fc.string({ unit: 'binary', maxLength: 8 }),
        fc.jsonValue({ stringUnit: 'binary' }),
      )
      await fc.assert(
        fc.asyncProperty(tree, indent, async (object, space) => {
          const text = JSON.stringify(object, null, space)
          const body = Buffer.from(text)
          const members = await membersOf(body, smallMax)
          const parsed: unknown = JSON.parse(body.toString())
          const found = [...members.byKey.values()].map(({ key, start, end }) => [
            key,
            JSON.parse(body.toString('utf8', start, end)),
          ])
          assert.deepEqual(new Map(found as [string, unknown][]), new Map(Object.entries(parsed as object)))
          assert.equal(members.isEmpty, found.length === 0)
          assert.equal(body[members.insertAt - 1], 0x7b)
        }),
        { numRuns: 300 },
      )
    })

    it('refuses what JSON.parse refuses, when a valid body is damaged', async () => {
      const sample = '{"model":"m","n":-1.5e+3,"a":[1,true,{"b":null}],"s":"x\\"y"}'
      await fc.assert(
        fc.asyncProperty(fc.nat(sample.length - 1), fc.constantFrom(...'{}[],:"0x. \\-'), async (at, put) => {
          const text = sample.slice(0, at) + put + sample.slice(at + 1)
          const reading = await scanMembers(Buffer.from(text), smallMax)
          let valid = true
          try {
            JSON.parse(text)
          } catch {
            valid = false
          }
          // A bad escape inside a string is what a large body may hold; everything else must be seen.
          const escapes = smallMax === 0 && /\\[^"\\/bfnrtu]/.test(text)
          if (!escapes) assert.equal(reading.kind, valid ? 'read' : 'invalid', text)
        }),
        { numRuns: 1500 },
      )
    })

    const refusals: readonly (readonly [string, string | Buffer, RegExp])[] = [
      ['nothing', '', /empty/],
      ['blanks', ' \n ', /early end/],
      ['an array', '[1]', /must be a JSON object/],
      ['a scalar', '"x"', /must be a JSON object/],
      ['a byte order mark', '\ufeff{}', /byte order mark/],
      ['bad UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), /UTF-8/],
      ['a cut character at the end', Buffer.from([0x7b, 0x7d, 0xe4, 0xb8]), /UTF-8/],
      ['a second model', '{"model":"a","model":"b"}', /"model" stands twice/],
      ['a second model in escapes', '{"model":"a","mod\\u0065l":"b"}', /"model" stands twice/],
      ['a second __proto__', '{"__proto__":1,"__proto__":2}', /twice/],
      ['something after the end', '{} {}', /after the end/],
      ['an early end', '{"a":1', /early end/],
      ['an open string', '{"a":"b\\"}', /string that does not end/],
      ['a trailing comma', '{"a":1,}', /no name/],
      ['a trailing comma in a list', '{"a":[1,]}', /unexpected/],
      ['a missing comma', '{"a":1 "b":2}', /missing comma/],
      ['a missing colon', '{"a" 1}', /missing colon/],
      ['brackets that do not match', '{"a":[1}}', /does not match/],
      ['a number with a leading zero', '{"a":01}', /missing comma/],
      ['a number that ends in a point', '{"a":1.}', /unexpected/],
      ['a comment', '{"a":/*"*/1}', /unexpected/],
      ['single quotes', "{'a':1}", /no name/],
      ['a wrong literal', '{"a":nul}', /unexpected/],
      ['endless depth', `{"a":${'['.repeat(5000)}${']'.repeat(5000)}}`, /nested/],
      ['a number without end', `{"a":1${'0'.repeat(9000)}}`, /longer/],
      ['a name without end', `{"${'a'.repeat(9000)}":1}`, /longer/],
      [
        'members without end',
        `{${Array.from({ length: 1001 }, (_, i) => `"${i}":1`).join()}}`,
        /more than 1000/,
      ],
    ]
    for (const [what, text, expected] of refusals) {
      it(`refuses ${what}`, async () => assert.match(await messageOf(text, smallMax), expected))
    }

    it('decodes keys, and takes __proto__ as one of them', async () => {
      const members = await membersOf('{"mod\\u0065l":"a","__proto__":{"x":1},"":0}', smallMax)
      assert.deepEqual([...members.byKey.keys()], ['model', '__proto__', ''])
    })

    it('finds the end of strings with backslashes wherever a slice ends', async () => {
      for (const length of [1, 90, 95, 96, 97, 131_071, 131_072, 524_288, 700_001]) {
        for (const tail of ['', '\\\\', '\\"', '\\\\\\"']) {
          const text = `{"a":"${'x'.repeat(length)}${tail}","b":"${'\\\\'.repeat(length)}","c":1}`
          const members = await membersOf(text, smallMax)
          assert.deepEqual([...members.byKey.keys()], ['a', 'b', 'c'])
          assert.equal(members.byKey.get('c')?.start, text.length - 2)
        }
      }
    })
  })
}

it('refuses a control character and a bad escape inside the strings of a small body', () => {
  for (const text of ['{"a":"\n"}', '{"a":"\\x"}'])
    assert.equal(readMembers(Buffer.from(text)).kind, 'invalid')
})

it('accepts characters of several bytes across the places where a large body is cut', async () => {
  const text = `{"a":"${'x'}${'語'.repeat(1_500_000)}"}`
  assert.equal((await membersOf(text)).byKey.get('a')?.end, Buffer.byteLength(text) - 1)
})

it('lets the event loop turn while it scans 32 MB, whatever they hold', async () => {
  const numbers = `{"a":[${'-0.0123,'.repeat(1_000_000)}1]}`
  const escapes = `{"a":"${'say \\"x\\" '.repeat(1_000_000)}"}`
  for (const text of [numbers, escapes, `{"a":"${'x'.repeat(32_000_000)}"}`]) {
    let turns = 0
    let isOver = false
    const turn = () => {
      turns += 1
      if (!isOver) setImmediate(turn)
    }
    setImmediate(turn)
    await membersOf(text)
    isOver = true
    assert.ok(turns > 3, `${turns} turns`)
  }
})

describe('findLastMember', () => {
  it('finds a top-level member and no other of its name', () => {
    const cases: readonly (readonly [string, string | undefined])[] = [
      ['{"data":[1,2],"usage":{"a":1},"user":null}', '{"a":1}'],
      ['{"usage" : {"a":1} , "tail":{"usage":{"b":2}}}', '{"a":1}'],
      ['{"tail":{"usage":{"b":2}}}', undefined],
      ['{"list":[{"usage":{"b":2}}]}', undefined],
      ['{"text":"\\"usage\\":{\\"a\\":1}"}', undefined],
      ['{"a \\"usage":{"a":1}}', undefined],
      ['{"text":"usage"}', undefined],
      ['{"usage":null}', 'null'],
      ['"usage"', undefined],
      ['', undefined],
    ]
    for (const [text, expected] of cases) {
      const body = Buffer.from(text)
      const member = findLastMember(body, 'usage')
      assert.equal(member && body.toString('utf8', member.start, member.end), expected, text)
    }
  })
  it('gives up on a name that is nested in itself without end', () => {
    const [open, depth] = ['{"usage":', 300_000]
    const body = Buffer.from(`{"a":${open.repeat(depth)}1${'}'.repeat(depth)}}`)
    const before = process.threadCpuUsage()
    assert.equal(findLastMember(body, 'usage'), undefined)
    const usedMs = process.threadCpuUsage(before).user / 1000
    assert.ok(usedMs < 300, `it took ${usedMs} ms`)
  })
})
