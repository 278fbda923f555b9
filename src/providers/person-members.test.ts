import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { readMembers } from '#lib/json-members.ts'
import { anthropic } from './anthropic/provider.ts'
import { applyEdits } from './body-edits.ts'
import { openai } from './openai/provider.ts'
import { personEdits, valueOfPerson } from './person-members.ts'

function bodyOf(text: string) {
  const body = Buffer.from(text)
  const reading = readMembers(body)
  return { body, members: reading.kind === 'read' ? reading.value : assert.fail('it can be read') }
}

const cases = [
  { provider: openai, text: '{"model":"m","user":"ann"}', name: 'ann', sent: '{"model":"m","user":"usr_1"}' },
  {
    provider: openai,
    text: '{"safety_identifier" : "ann" , "model":"m"}',
    name: 'ann',
    sent: '{"safety_identifier" : "usr_1" , "model":"m"}',
  },
  {
    provider: openai,
    text: '{"user":{"name":"ann"},"safety_identifier":"bo","model":"m"}',
    name: { name: 'ann' },
    sent: '{"user":"usr_1","safety_identifier":"usr_1","model":"m"}',
  },
  { provider: openai, text: '{"model":"m"}', name: undefined, sent: '{"model":"m"}' },
  {
    provider: anthropic,
    text: '{"model":"m","metadata":{"user_id":"ann","more":1}}',
    name: 'ann',
    sent: '{"model":"m","metadata":{"user_id":"usr_1","more":1}}',
  },
  {
    provider: anthropic,
    text: '{"metadata":{"user\\u005fid":"ann"},"model":"m"}',
    name: 'ann',
    sent: '{"metadata":{"user\\u005fid":"usr_1"},"model":"m"}',
  },
  {
    provider: anthropic,
    text: '{"model":"m","metadata":{"user_id":"ann","user_id":"bo"}}',
    name: 'bo',
    sent: '{"model":"m","metadata":{"user_id":"usr_1"}}',
  },
  {
    provider: anthropic,
    text: '{"model":"m","metadata":["ann"]}',
    name: undefined,
    sent: '{"model":"m","metadata":{"user_id":"usr_1"}}',
  },
]

describe('the members that name a person', () => {
  for (const { provider, text, name, sent } of cases) {
    it(`${provider.name}: ${text}`, () => {
      const body = bodyOf(text)
      assert.deepEqual(valueOfPerson(provider.personMembers, body), name)
      const edits = personEdits(provider.personMembers, body, 'usr_1')
      assert.equal(applyEdits(body.body, edits).toString(), sent)
    })
  }
})
