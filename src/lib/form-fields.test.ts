import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { boundaryOf, readForm } from './form-fields.ts'

const part = (disposition: string, value: string, more = '') =>
  `--x\r\nContent-Disposition: ${disposition}\r\n${more}\r\n${value}\r\n`
const read = (text: string) => readForm(Buffer.from(text), 'x')

describe('the fields of a form', () => {
  it('are read as what a real client writes', async () => {
    const form = new FormData()
    form.set('model', 'gpt-image-1')
    form.set('prompt', 'Grüße\r\n--and lines')
    form.set('empty', '')
    form.append('image[]', new File([Buffer.alloc(100_000, 0x0d)], 'a "quoted".png', { type: 'image/png' }))
    form.append('image[]', new File(['--x\r\n\r\n'], 'b.png'))
    const request = new Request('http://localhost', { method: 'POST', body: form })
    const body = Buffer.from(await request.clone().arrayBuffer())
    const boundary = boundaryOf(request.headers.get('content-type') ?? undefined)
    const reading = readForm(body, boundary ?? assert.fail())
    assert.ok(reading.kind === 'read')
    const { fields, repeated, textBytes, files } = reading.value
    assert.deepEqual(
      [...fields].map(([name, { value }]) => [name, value]),
      [
        ['model', 'gpt-image-1'],
        ['prompt', 'Grüße\r\n--and lines'],
        ['empty', ''],
      ],
    )
    const place = fields.get('model')
    assert.equal(body.toString('latin1', place?.start, place?.end), 'gpt-image-1')
    assert.deepEqual([[...repeated], textBytes, files], [['image[]'], 11 + 20, 2])
  })

  it('say which names stand several times, also once as a file', () => {
    const reading = read(
      `${part('form-data; name="model"', 'a')}${part('form-data; name="model"; filename="b"', 'b')}--x--\r\n`,
    )
    assert.ok(reading.kind === 'read' && reading.value.repeated.has('model'))
  })

  const model = part('form-data; name="model"', 'a')
  const wrong: Readonly<Record<string, string>> = {
    'no part': '--x--\r\n and more',
    'something before the first': `\r\n${model}--x--\r\n`,
    'something after the last': `${model}--x--\r\n${model}`,
    'no end': model,
    'half an end': `${model}--x-`,
    'a longer boundary inside': `${model.replace('a\r\n', 'a\r\n--xy\r\n')}--x--\r\n`,
    'a header that is folded': `${part('form-data;\r\n name="model"', 'a')}--x--\r\n`,
    'lines that end otherwise': `${model.replaceAll('\r\n', '\n')}--x--\n`,
    'two dispositions': `${part('form-data; name="a"', 'a', 'Content-Disposition: form-data; name="model"\r\n')}--x--\r\n`,
    'two names': `${part('form-data; name="a"; name="model"', 'a')}--x--\r\n`,
    'a name in another coding': `${part("form-data; name*=utf-8''model", 'a')}--x--\r\n`,
    'an escape in a name': `${part('form-data; name="mo\\del"', 'a')}--x--\r\n`,
    'a coding of its own': `${part('form-data; name="model"', 'YQ==', 'Content-Transfer-Encoding: base64\r\n')}--x--\r\n`,
    'a header that is not known': `${part('form-data; name="model"', 'a', 'X-Other: 1\r\n')}--x--\r\n`,
    'too many parts': `${part('form-data; name="n"', '1').repeat(513)}--x--\r\n`,
  }
  for (const [name, text] of Object.entries(wrong))
    it(`cannot be read where there is ${name}`, () => assert.equal(read(text).kind, 'invalid', text))

  it('need one boundary', () => {
    assert.equal(boundaryOf('multipart/form-data; boundary=x'), 'x')
    assert.equal(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b"'), undefined)
    assert.equal(boundaryOf('multipart/form-data; boundary="a-b"'), 'a-b')
    for (const type of [
      undefined,
      'multipart/form-data',
      'multipart/mixed; boundary=x',
      'multipart/form-data; boundary=x; boundary=y',
    ])
      assert.equal(boundaryOf(type), undefined, String(type))
  })
})
