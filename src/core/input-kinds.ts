/**
 * Kinds of content that a request's input is estimated by, each with an error of its own: plain text, the definitions of
 * tools that the client runs and of those that the provider runs, images, documents and other files, sound, and what
 * the provider has sealed (encrypted reasoning, signatures), which is sent back as it came.
 */
export const inputKinds = ['plain', 'tools', 'serverTools', 'images', 'documents', 'audio', 'sealed'] as const

export type InputKind = (typeof inputKinds)[number]

/** LLM units of each kind. */
export type InputUnits = Readonly<Record<InputKind, number>>

/** What each kind's estimate is multiplied by. */
export type InputFactors = Readonly<Record<InputKind, number>>

/**
 * What is corrected beside them: the output, by the reasoning that a provider counts and does not show. Its factor is what
 * was counted over what was shown.
 */
export const correctedKinds = [...inputKinds, 'hidden'] as const

export type CorrectedKind = (typeof correctedKinds)[number]

export type CorrectionFactors = Readonly<Record<CorrectedKind, number>>

export const noFactors: CorrectionFactors = {
  plain: 1,
  tools: 1,
  serverTools: 1,
  images: 1,
  documents: 1,
  audio: 1,
  sealed: 1,
  hidden: 1,
}
