/**
 * The largest output bound that the service accepts for its older models: it refuses a larger one instead of lowering it
 * ("max_tokens is too large", the models' pages). Newer models accept every bound that the gateway writes by itself. For
 * models whose context holds prompt and answer together (gpt-4) the value leaves room for the prompt.
 */
const maxima: readonly (readonly [RegExp, number])[] = [
  [/^gpt-4o-2024-05-13/, 4096],
  [/^(gpt-4o|chatgpt-4o|gpt-4\.5|gpt-5[\d.]*-chat)/, 16_384],
  [/^gpt-4(-|$)/, 4096],
  [/^(gpt-3\.5|davinci|babbage)/, 4096],
]

/**
 * Undefined if it is not known. The names of fine-tuned models and of routers hold the name of the model that they are
 * based on.
 */
export function outputMaximumOf(model: string): number | undefined {
  const name = model.replace(/^ft:/, '').replace(/^.*\//, '')
  return maxima.find(([pattern]) => pattern.test(name))?.[1]
}
