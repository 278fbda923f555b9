/**
 * The largest bound of an answer that the service takes for its older models: it refuses a larger one instead of
 * lowering it ("max_tokens is too large", the models' pages). Newer models take at least what is ever written unasked.
 * Of models whose context holds prompt and answer together (gpt-4) it is what leaves the prompt room.
 */
const maxima: readonly (readonly [RegExp, number])[] = [
  [/^gpt-4o-2024-05-13/, 4096],
  [/^(gpt-4o|chatgpt-4o|gpt-4\.5|gpt-5[\d.]*-chat)/, 16_384],
  [/^gpt-4(-|$)/, 4096],
  [/^(gpt-3\.5|davinci|babbage)/, 4096],
]

/** Undefined where none is known. Names of fine-tuned models and of routers lead to the model that they are made of. */
export function outputMaximumOf(model: string): number | undefined {
  const name = model.replace(/^ft:/, '').replace(/^.*\//, '')
  return maxima.find(([pattern]) => pattern.test(name))?.[1]
}
