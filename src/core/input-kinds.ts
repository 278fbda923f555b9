/**
 * Kinds of content of a request's input, each with an estimate of its own: plain text, definitions of tools that the
 * client runs, and of those that the provider runs, images, documents and other files, sound, and content that the
 * provider has encrypted (reasoning, signatures) and that is sent back unchanged.
 */
export const inputKinds = ['plain', 'tools', 'serverTools', 'images', 'documents', 'audio', 'sealed'] as const

export type InputKind = (typeof inputKinds)[number]

/** LLM units of each kind. */
export type InputUnits = Readonly<Record<InputKind, number>>

/** The factor of each kind's estimate. */
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
