import assert from 'node:assert/strict'
import { it } from 'node:test'
import { providers } from '#providers/all.ts'
import { openAnswerReader } from './answer-reader.ts'

const usages = {
  '/v1/chat/completions': { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  '/v1/responses': { input_tokens: 10, output_tokens: 5, total_tokens: 15 },
  '/v1/messages': { input_tokens: 10, output_tokens: 5 },
}

for (const [path, usage] of Object.entries(usages)) {
  it(`finds usage at the start of a whole answer of megabytes: ${path}`, () => {
    const endpoint =
      providers.flatMap(({ endpoints }) => endpoints).find((each) => each.path === path) ?? assert.fail(path)
    const reader = openAnswerReader(
      endpoint,
      { 'content-type': 'application/json' },
      { withholdsUsage: false, answers: 1 },
    )
    const text = 'x'.repeat(9 * 1024 * 1024)
    const body = Buffer.from(JSON.stringify({ id: 'x', usage, choices: [{ message: { content: text } }] }))
    for (let at = 0; at < body.length; at += 65_536) reader.push(body.subarray(at, at + 65_536))
    reader.end()
    const figures = reader.figures()
    assert.equal(figures.usage?.input, 10)
    assert.equal(figures.usage.output, 5)
    assert.equal(figures.isComplete, true)
  })
}
