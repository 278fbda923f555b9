/**
 * Watches how deep JSON is nested while its bytes come. `JSON.parse` recurses: 30 MB of `[` blocked the process for 5.8
 * s before it refused them. The parser checks the rest of the grammar.
 */
export interface JsonDepth {
  /** Reads the next bytes; false once they are nested too deep. */
  readonly take: (bytes: Uint8Array) => boolean
}

const [quote, backslash] = [0x22, 0x5c]

export function createJsonDepth(depthMax: number): JsonDepth {
  let depth = 0
  let isInString = false
  let isEscaped = false

  return {
    take(bytes) {
      // Locals: variables that outlive the call cost twice as much in the loop.
      let [now, inString, escaped] = [depth, isInString, isEscaped]
      for (let at = 0; at < bytes.length; at += 1) {
        const byte = bytes[at]
        if (inString) {
          if (escaped) escaped = false
          else if (byte === backslash) escaped = true
          else if (byte === quote) inString = false
        } else if (byte === quote) inString = true
        // 0x5b and 0x7b open, 0x5d and 0x7d close.
        else if (byte === 0x5b || byte === 0x7b) {
          now += 1
          if (now > depthMax) return false
        } else if (byte === 0x5d || byte === 0x7d) now -= 1
      }
      depth = now
      isInString = inString
      isEscaped = escaped
      return true
    },
  }
}
