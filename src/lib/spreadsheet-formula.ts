const beginning = /^[=+\-@\t\r\n\u{ff1d}\u{ff0b}\u{ff0d}\u{ff20}]/u

/**
 * Whether a spreadsheet may evaluate a cell with this text as a formula: by its first character, which some also accept
 * in its full width. White space is among them, since a formula may follow it.
 */
export function mayBeFormula(text: string): boolean {
  return beginning.test(text)
}
