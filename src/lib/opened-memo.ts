/**
 * Remembers what was decrypted: a text that is opened again is compared with the one before, which takes a tenth of the
 * time. What is remembered stays in memory, up to a bound, and is written nowhere.
 */
export interface OpenedMemo {
  /** What `open` answers for this text and owner. */
  readonly of: (sealed: string, owner: string, open: (sealed: string, owner: string) => string) => string
}

/** @param keptMax how many; each takes some 300 bytes */
export function createOpenedMemo(keptMax: number): OpenedMemo {
  const kept = new Map<string, { readonly sealed: string; readonly plain: string }>()
  return {
    of(sealed, owner, open) {
      const known = kept.get(owner)
      if (known?.sealed === sealed) return known.plain
      const plain = open(sealed, owner)
      // All at once, which is rare: to forget one for each that comes would cost more than to open it.
      if (kept.size >= keptMax && known === undefined) kept.clear()
      kept.set(owner, { sealed, plain })
      return plain
    },
  }
}
