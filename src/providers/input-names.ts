/** Members that hold base64, bare or as a data URL. */
const payloadKeys: ReadonlySet<string> = new Set(['url', 'image_url', 'data', 'file_data'])
/** Members that hold content which the provider has sealed. */
const sealedKeys: ReadonlySet<string> = new Set(['signature', 'thought_signature', 'thoughtSignature'])
/**
 * In `input` this is reasoning. Elsewhere it is the result of a search, which is counted as text, since it is about as
 * long.
 */
const sealedInInput = 'encrypted_content'

/** Whether a value under this name is sealed. */
export function isSealedName(name: string, isInInput: boolean): boolean {
  return sealedKeys.has(name) || (isInInput && name === sealedInInput)
}

/** Whether a value under this name may be base64. */
export function mayHoldPayload(name: string): boolean {
  return payloadKeys.has(name)
}

/** The name, if it is one of those that matter; most others are excluded by length and first letter. */
export function keyOf(body: Buffer, start: number, end: number, names: Uint8Array): string {
  const length = end - start
  const mayMatter = length <= nameBytesMax && names[length * 256 + (body[start] ?? 0)] === 1
  return mayMatter ? body.toString('latin1', start, end) : ''
}

const namesEverywhere = ['type', sealedInInput, ...payloadKeys, ...sealedKeys]
const namesInBlocks = [...namesEverywhere, 'role', 'content']
const nameBytesMax = Math.max(...namesInBlocks.map(({ length }) => length))

function tableOf(names: readonly string[]): Uint8Array {
  const table = new Uint8Array((nameBytesMax + 1) * 256)
  for (const name of names) table[name.length * 256 + name.charCodeAt(0)] = 1
  return table
}

export const everywhere = tableOf(namesEverywhere)
export const inBlocks = tableOf(namesInBlocks)
