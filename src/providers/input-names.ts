import { placeNames } from './input-places.ts'

/** Members that hold base64, bare or as a data URL. */
const payloadKeys: ReadonlySet<string> = new Set(['url', 'image_url', 'data', 'file_data'])
/** Members that hold content which the provider has sealed. */
const sealedKeys: ReadonlySet<string> = new Set(['signature'])
/** Calls of tools carry these, in objects without a type. */
const callKeys: ReadonlySet<string> = new Set(['thought_signature', 'thoughtSignature'])
/**
 * In `input` this is reasoning. Elsewhere it is the result of a search, which is counted as text, since it is about as
 * long.
 */
const sealedInInput = 'encrypted_content'

/** Whether a value under this name is sealed. */
export function isSealedName(name: string, isInInput: boolean): boolean {
  return sealedKeys.has(name) || (isInInput && name === sealedInInput)
}

export function isCallSignature(name: string): boolean {
  return callKeys.has(name)
}

/** Whether a value under this name may be base64. */
export function mayHoldPayload(name: string): boolean {
  return payloadKeys.has(name)
}

/** The name, if it is one of those that matter; most others are excluded by length and first letter. */
export function keyOf(body: Buffer, start: number, end: number): string {
  const length = end - start
  const candidates = length <= nameBytesMax ? names[length * 256 + (body[start] ?? 0)] : undefined
  if (candidates === undefined) return ''
  for (const name of candidates) {
    let at = 1
    while (at < length && body[start + at] === name.charCodeAt(at)) at += 1
    if (at === length) return name
  }
  return ''
}

const known = ['type', 'role', sealedInInput, ...payloadKeys, ...sealedKeys, ...callKeys, ...placeNames]
const nameBytesMax = Math.max(...known.map(({ length }) => length))
const names: (string[] | undefined)[] = Array.from({ length: (nameBytesMax + 1) * 256 }, () => undefined)
for (const name of known) {
  const at = name.length * 256 + name.charCodeAt(0)
  names[at] = [...(names[at] ?? []), name]
}
