/** Content that the provider has sealed: its bytes, and those of them at the head of each piece, which hold no text. */
export interface Sealed {
  bytes: number
  heads: number
}

/**
 * The bytes of a piece that hold no text, and the bytes for each unit of the rest. Measured on answers of two providers.
 */
const [headBytes, bytesPerUnit] = [1000, 5.5]
/** So many heads are deducted for one request, so that content in many short pieces is not free. */
const headsMax = 16

/** @param pieces so many of this length each */
export function sealedOf(bytes: number, pieces = 1): Sealed {
  return { bytes: bytes * pieces, heads: Math.min(bytes, headBytes) * pieces }
}

export function addSealed(sum: Sealed, { bytes, heads }: Sealed): void {
  sum.bytes += bytes
  sum.heads += heads
}

/** LLM units of all the sealed content of a request. */
export function unitsOfSealed({ bytes, heads }: Sealed): number {
  return (bytes - Math.min(heads, headsMax * headBytes)) / bytesPerUnit
}
