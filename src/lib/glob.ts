/**
 * Whether `text` matches `glob`, in which `*` stands for any run of characters; every other character stands for
 * itself.
 */
export function matchesGlob(glob: string, text: string): boolean {
  const [head = '', ...rest] = glob.split('*')
  if (rest.length === 0) return glob === text
  const tail = rest.pop() ?? ''
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false
  let from = head.length
  const end = text.length - tail.length
  for (const middle of rest) {
    const at = text.indexOf(middle, from)
    if (at < 0 || at + middle.length > end) return false
    from = at + middle.length
  }
  return true
}

/** Whether a glob is nothing but stars, and so takes every text. */
export function takesAnything(glob: string): boolean {
  return /^\*+$/.test(glob)
}

/** Those that are no pattern: each takes one text alone. */
export function spelledOut(globs: readonly string[]): readonly string[] {
  return globs.filter((glob) => !glob.includes('*'))
}
