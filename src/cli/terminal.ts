import { showControl } from '#lib/control-characters.ts'

/**
 * What the program says to a terminal. It may hold text of others (names of models, messages of servers), which could
 * move the cursor, set colours or write what looks like a line of ours: only line breaks are taken as they are, and text
 * of others goes in by `inLine`.
 */
export function print(text: string): void {
  process.stdout.write(`${withLineBreaks(text)}\n`)
}

/** For what goes wrong, and for what stands beside an output that a program reads. */
export function complain(text: string): void {
  process.stderr.write(`${withLineBreaks(text)}\n`)
}

/** Text of others within a line. */
export function inLine(text: string): string {
  return showControl(text)
}

function withLineBreaks(text: string): string {
  return text.split('\n').map(showControl).join('\n')
}
