import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type MethodGroups, methodsOf, namedMethods } from './methods.ts'

interface Shelf {
  readonly find: (id: string) => Promise<string>
  readonly list: () => Promise<readonly string[]>
  readonly put: (id: string, count: number) => Promise<number>
  readonly drop: (id: string) => Promise<void>
}

const shelf = {
  reads: { find: async (id) => `found ${id}` },
  long: { list: async () => ['a', 'b'] },
  writes: { put: async (_id, count) => count + 1 },
  addressWrites: { drop: async () => undefined },
} satisfies MethodGroups<Shelf>

describe('methods in groups', () => {
  it('are run by their kind, each under its full name, with arguments and answer passed on', async () => {
    const ran: string[] = []
    const { shelf: methods } = methodsOf({ shelf }, ({ kind, name, run }) => (...args) => {
      ran.push(`${kind} ${name}`)
      return run(...args)
    })
    const typed: Shelf = methods
    assert.equal(await typed.find('x'), 'found x')
    assert.deepEqual(await typed.list(), ['a', 'b'])
    assert.equal(await typed.put('x', 2), 3)
    await typed.drop('x')
    assert.deepEqual(ran, [
      'reads shelf.find',
      'long shelf.list',
      'writes shelf.put',
      'addressWrites shelf.drop',
    ])
  })

  it('are named for a thread that does some kinds', () => {
    assert.deepEqual(Object.keys(namedMethods({ shelf }, ['writes', 'addressWrites'])), [
      'shelf.put',
      'shelf.drop',
    ])
  })

  it('are spelt as they are written, or the compiler says so', () => {
    const { shelf: methods } = methodsOf({ shelf }, ({ run }) => run)
    // @ts-expect-error no method has this name
    assert.equal(methods.fnd, undefined)
    // @ts-expect-error the table has no such method to group
    const wrong = { reads: { fnd: async () => '' } } satisfies MethodGroups<Shelf>
    assert.deepEqual(Object.keys(wrong.reads), ['fnd'])
  })
})
