/** A text of a URL with its percent-encoded bytes decoded; undefined if they are not valid UTF-8. */
export function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
