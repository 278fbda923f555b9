/** Whether a text holds a C0 or C1 control character, line breaks and tabs among them. */
export function holdsControl(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for.
  return /[\u0000-\u001f\u007f-\u009f]/.test(text)
}
