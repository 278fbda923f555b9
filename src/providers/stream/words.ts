/** The names of the members in one protocol's events. */
export interface StreamWords {
  /** Members whose string value is text that the model wrote; below, those that hold its reasoning. */
  readonly text: readonly string[]
  readonly reasoning: readonly string[]
  /**
   * Members whose object holds what the model wrote. Every string in it is text, whatever its name, except labels;
   * strings within a label are not text either.
   */
  readonly grows?: readonly string[]
  readonly labels?: readonly string[]
  /** Within such an object: members that repeat the reasoning in parts. */
  readonly details?: readonly string[]
  /** Members whose string holds audio or an image in base64: everywhere, and within such an object. */
  readonly media?: readonly string[]
  readonly innerMedia?: readonly string[]
  /** The places of `usage`: `''` for the top level, else the top-level member that holds it. */
  readonly usageIn: readonly string[]
  /** The name of `usage`, if it is another. */
  readonly usage?: string
  /** At the same places: the usage of the provider's tools, and the service tier. */
  readonly tools?: string
  readonly tier?: string
  /** A member whose string value says that the answer, or one of several, has ended. */
  readonly stop?: string
  /** At the places of usage: a member whose value is the status of the answer. */
  readonly status?: string
  /** At the places of usage: a member that names the model that answers. */
  readonly model?: string
  /** A top-level member that names the kind of event, and the kinds that are errors. */
  readonly kind?: string
}
