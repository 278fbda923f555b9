import type { StreamWords } from './words.ts'

/** What a member's name means, as a number: the scanner compares one for every member that passes. */
export const meanings = {
  unknown: 0,
  usage: 1,
  tools: 2,
  choices: 3,
  holder: 4,
  kind: 5,
  grows: 6,
  label: 7,
  details: 8,
  innerMedia: 9,
  text: 10,
  media: 11,
  reasoning: 12,
  detail: 13,
  stop: 14,
  failure: 15,
  tier: 16,
  status: 17,
  modelName: 18,
} as const

/** From this meaning on, the string value of a member matters, even if a chunk's end cuts it. */
export const firstOfStrings = meanings.text
/** From this meaning on, the content of the string matters as well. */
export const firstOfWords = meanings.tier

export function isText(meaning: number): boolean {
  return meaning >= meanings.text && meaning <= meanings.detail
}

/** Longest name that may matter. */
export const nameBytesMax = 24

interface Name {
  readonly bytes: Buffer
  readonly meaning: number
}

/** Names, indexed by their length. */
export type Names = readonly (readonly Name[] | undefined)[]

const knownNames = new WeakMap<StreamWords, Names>()

/** Created once for each protocol: otherwise each idle stream would hold four kilobytes. */
export function namesOf(words: StreamWords): Names {
  const known = knownNames.get(words)
  if (known) return known
  const made = createNames(words)
  knownNames.set(words, made)
  return made
}

function createNames(words: StreamWords): Names {
  const names: (Name[] | undefined)[] = Array.from({ length: nameBytesMax + 1 }, () => undefined)
  const add = (word: string | undefined, meaning: number): void => {
    if (word === undefined) return
    const bytes = Buffer.from(word)
    names[bytes.length] = [...(names[bytes.length] ?? []), { bytes, meaning }]
  }
  const addAll = (list: readonly string[] | undefined, meaning: number): void => {
    for (const word of list ?? []) add(word, meaning)
  }
  // Where a word has two meanings, the first one counts.
  addAll(words.text, meanings.text)
  addAll(words.reasoning, meanings.reasoning)
  addAll(words.grows, meanings.grows)
  addAll(words.details, meanings.details)
  addAll(words.media, meanings.media)
  addAll(words.innerMedia, meanings.innerMedia)
  addAll(
    words.usageIn.filter((place) => place !== '' && place !== 'choices'),
    meanings.holder,
  )
  add(words.tools, meanings.tools)
  add(words.stop, meanings.stop)
  add(words.tier, meanings.tier)
  add(words.status, meanings.status)
  add(words.kind, meanings.kind)
  add(words.model, meanings.modelName)
  add(words.usage ?? 'usage', meanings.usage)
  add('choices', meanings.choices)
  add('error', meanings.failure)
  addAll(words.labels, meanings.label)
  return names
}

/** The meaning of the name of this length that starts here. */
export function meaningOf(names: Names, bytes: Buffer, start: number, size: number): number {
  const candidates = names[size]
  if (!candidates) return meanings.unknown
  for (const name of candidates) {
    let at = 0
    while (at < size && bytes[start + at] === name.bytes[at]) at += 1
    if (at === size) return name.meaning
  }
  return meanings.unknown
}
