import type { MediaCount } from './input-size.ts'

/** Base64 in a request: where it starts, and its stated kind. */

const headBytesMax = 160

/** The offset where base64 would start in a string: at its start, or after the head of a data URL. */
export function payloadStart(body: Buffer, at: number): number {
  if (body.toString('latin1', at, at + 5) !== 'data:') return at
  const head = /^data:[\w.+/;=-]*;base64,/.exec(body.toString('latin1', at, at + headBytesMax))
  return at + (head ? head[0].length : 0)
}

/** Undefined: a file of text, whose size says how much the model reads. */
export type PayloadKind = keyof MediaCount | 'loose' | undefined

/**
 * The kind of a payload: by the media type of its data URL, which ends where the payload starts, else by the first bytes
 * of its format.
 */
export function payloadKind(body: Buffer, stringStart: number, start: number): PayloadKind {
  const type = body.toString('latin1', stringStart + 5, Math.max(stringStart + 5, start))
  if (type.startsWith('image/')) return 'images'
  if (type.startsWith('audio/')) return 'audio'
  const head = Buffer.from(body.toString('latin1', start, start + 16), 'base64')
  const firstBytes = head.toString('latin1')
  const format = formats.find(([known]) => known.test(firstBytes))?.[1]
  if (format === undefined && (type.startsWith('text/') || isText.test(head.toString()))) return undefined
  return start > stringStart ? 'documents' : (format ?? 'loose')
}

/** UTF-8 text by its first bytes, the last of which may be cut; a format of files has other bytes among them. */
const isText = /^[\t\n\r[\P{Cc}--\ufffd]]*\ufffd{0,3}$/v

const formats: readonly (readonly [RegExp, keyof MediaCount])[] = [
  [/^\x89PNG/, 'images'],
  [/^\xff\xd8\xff/, 'images'],
  [/^GIF8/, 'images'],
  [/^RIFF....WEBP/s, 'images'],
  [/^....ftyp(avif|heic|heix|mif1)/s, 'images'],
  [/^%PDF/, 'documents'],
  [/^PK/, 'documents'],
  [/^RIFF....WAVE/s, 'audio'],
  [/^ID3/, 'audio'],
  [/^\xff[\xf2\xf3\xfa\xfb]/, 'audio'],
  [/^OggS/, 'audio'],
  [/^fLaC/, 'audio'],
  [/^....ftypM4A/s, 'audio'],
]
