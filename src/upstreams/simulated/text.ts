/** The text of the simulated models. Deterministic: the same question gets the same answer, and the same count. */

const openings = [
  'Thank you for asking.',
  'Good question.',
  'Let me think about that.',
  'Certainly!',
  'Here is what I can say.',
]
const middles = [
  'I am a simulated model, so these words were composed in advance and no provider was asked.',
  'Nothing left this machine: the answer comes from a simulated upstream that speaks the real protocol.',
  'No model was harmed, or paid, for this answer; it was put together by the simulated upstream of the demo.',
]
const endings = [
  'Its usage is counted as the real one would be, so watch the quota move.',
  'Everything around it is real: the quota, the ledger and the stream you are reading.',
  'Configure a real upstream and the same request will reach it unchanged.',
]
const filler =
  'The gateway reserved units for this request before it was sent and settles them now that it has ended.'

/** The part of the question that is shown in the answer. */
const echoLengthMax = 60

/** Output as pieces of one unit each: a word with the blank before it. */
/** @param asked the part of the question that is shown */
export function answerTo(question: string, asked: string, units: number | undefined): readonly string[] {
  const turn = hashOf(question)
  const echo = asked.replace(/\s+/g, ' ').trim().slice(0, echoLengthMax)
  const shown = echo === '' ? '' : ` You wrote: “${echo}”.`
  const text = `${pick(openings, turn)} ${pick(middles, turn >>> 3)}${shown} ${pick(endings, turn >>> 5)}`
  const pieces = piecesOf(text)
  if (units === undefined) return pieces
  if (pieces.length >= units) return pieces.slice(0, units)
  const more = piecesOf(` ${filler}`)
  return Array.from(
    { length: units },
    (_, at) => pieces[at] ?? more[(at - pieces.length) % more.length] ?? ' …',
  )
}

/** Units of input: a quarter of the characters, at least 1. */
export function countInput(text: string): number {
  return Math.max(1, Math.ceil(text.length / 4))
}

function piecesOf(text: string): readonly string[] {
  return text.match(/ ?\S+/g) ?? []
}

function pick(texts: readonly string[], turn: number): string {
  return texts[turn % texts.length] ?? ''
}

function hashOf(text: string): number {
  let hash = 2166136261
  for (let at = 0; at < Math.min(text.length, 1000); at += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 16777619) >>> 0
  }
  return hash
}
