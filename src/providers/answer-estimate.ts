import { createStreamScanner, type StreamWords } from './stream-scanner.ts'
import { unitsOfText } from './text-units.ts'

const noUsageReader = { take: () => undefined, usage: () => undefined }

/** Output units of a whole answer that states no usage: its text's, or where none is found all its bytes'. */
export function estimateAnswer(body: Buffer, words: StreamWords): number {
  const scanner = createStreamScanner(words, noUsageReader, { isWholeBody: true })
  scanner.scan(body, 0)
  const units = unitsOfText(scanner.asciiBytes(), scanner.otherBytes())
  return units > 0 ? units : unitsOfText(body.length, 0)
}
