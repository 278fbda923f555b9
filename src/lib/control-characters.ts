/** Whether a text holds a C0 or C1 control character, line breaks and tabs among them. */
export function holdsControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for.
  return /[\u0000-\u001f\u007f-\u009f]/.test(text)
}

/**
 * A text that can be shown to people: control characters, and those that reverse or hide text, stand as `\u{1b}`. Text
 * without any is returned as it is.
 */
export function showControl(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    const code = character.codePointAt(0) ?? 0
    return `\\u{${code.toString(16)}}`
  })
}
