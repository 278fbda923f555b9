import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { openDecoder } from './decoder.ts'

const text = 'data: {"usage":1}\n\n'.repeat(500)

/** Decodes these pieces; answers what came out. */
function decode(coding: string, pieces: readonly Buffer[]): Promise<string> {
  const chunks: Buffer[] = []
  const decoder = openDecoder(coding, (chunk) => chunks.push(chunk))
  assert.ok(decoder)
  for (const piece of pieces) decoder.push(piece)
  return new Promise((resolve) => decoder.end(() => resolve(Buffer.concat(chunks).toString())))
}

describe('decoding a copy', () => {
  const codings = [
    ['gzip', gzipSync],
    ['X-GZIP', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    [' zstd ', zstdCompressSync],
  ] as const
  for (const [index, [coding, compress]] of codings.entries()) {
    it(`reads ${coding} (${index}) whole, byte by byte and broken off`, async () => {
      const bytes = compress(Buffer.from(text))
      assert.equal(await decode(coding, [bytes]), text)
      assert.equal(
        await decode(
          coding,
          [...bytes].map((byte) => Buffer.from([byte])),
        ),
        text,
      )
      const broken = await decode(coding, [bytes.subarray(0, bytes.length - 12)])
      assert.ok(text.startsWith(broken))
    })
  }

  it('ends on what is not compressed at all', async () => {
    for (const coding of ['gzip', 'br', 'deflate', 'zstd']) await decode(coding, [Buffer.from('plain text')])
  })

  it('ends at once where nothing came', async () => {
    assert.equal(await decode('gzip', []), '')
  })

  it('does not blow up', async () => {
    const bomb = gzipSync(Buffer.alloc(100 * 1024 * 1024))
    const length = (await decode('gzip', [bomb])).length
    assert.ok(length <= 64 * 1024 * 1024, `${length} bytes`)
  })

  it('knows no other coding', () => {
    for (const coding of ['compress', 'gzip, br', 'constructor', ''])
      assert.equal(
        openDecoder(coding, () => {}),
        undefined,
      )
  })
})
