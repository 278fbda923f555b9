/**
 * Where in a member content parts stand. Images, sealed content and types of parts are recognised only there. Any other
 * object holds JSON of the client (the input of a tool, a schema, metadata), which the model reads as text, whatever its
 * members are called.
 */

/**
 * `part`: a part of content, or the object that holds its base64. `typed`: the same, if it states its type. `message`: a
 * message or its calls of tools, which hold sealed content only. `prompt`: a prompt that the provider keeps, whose
 * `variables` may be parts.
 */
type Place = 'part' | 'typed' | 'message' | 'prompt' | 'variables'

const roots: ReadonlyMap<string, Place> = new Map<string, Place>([
  ['messages', 'message'],
  ['input', 'part'],
  ['prompt', 'prompt'],
  ['image', 'part'],
  ['images', 'part'],
  ['mask', 'part'],
])

/** Members that may be one object with a type, or a list of parts. */
const contentKeys = ['content', 'output']
const partKeys =
  'source image_url input_audio file audio_url video_url input_video images outputs reasoning_details thinking_blocks'.split(
    ' ',
  )
/** The path to the signatures of calls: Google's in `extra_content.google`, LiteLLM's in `provider_specific_fields`. */
const callKeys = ['tool_calls', 'function', 'extra_content', 'google', 'provider_specific_fields']

const inner: ReadonlyMap<string, Place> = new Map<string, Place>([
  ...contentKeys.map((name) => [name, 'typed'] as const),
  ...partKeys.map((name) => [name, 'part'] as const),
  ...callKeys.map((name) => [name, 'message'] as const),
])

/** The names of members that lead to parts. */
export const placeNames: readonly string[] = [...inner.keys(), 'variables']

/** The types of objects that may hold base64: parts, their sources, and sealed parts. */
const mediaType =
  /^(base64|url|media|(input_)?(image|file|audio|video)|(image|audio|video)_url|document|computer_screenshot|redacted_thinking|reasoning\.encrypted)$/
const sealedType = /^(thinking|redacted_thinking|reasoning)|compaction/

/** One object or list at a known place, and what its members may hide until its type is known. */
interface Frame {
  readonly place: Place
  type: string | undefined
  media: number
  sealed: number
  sealedHeads: number
}

const depthMax = 32
const nowhere = depthMax + 1

/** The places from the member's value down to the current object. */
export class Places {
  readonly #frames: Frame[] = []
  readonly #root: Place
  /** The depth of the outermost object that holds JSON of the client; all within is text. */
  #textFrom = nowhere

  constructor(root: Place) {
    this.#root = root
  }

  /** @param key the name of the member whose value opens; undefined for an element of a list */
  open(depth: number, key: string | undefined, isObject: boolean): void {
    if (depth >= this.#textFrom) return
    const place = depth === 1 ? this.#root : this.#placeOf(depth, key, isObject)
    if (!place || depth >= depthMax) this.#textFrom = depth
    else this.#frames[depth] = isObject && mayHold(place) ? createFrame(place) : shared[place]
  }

  #placeOf(depth: number, key: string | undefined, isObject: boolean): Place | undefined {
    const outer = this.#frames[depth - 1]?.place
    if (key === undefined) return outer === 'typed' ? 'part' : outer
    if (outer === 'variables') return 'part'
    if (outer === 'prompt') return key === 'variables' ? 'variables' : undefined
    const place = inner.get(key)
    return place === 'typed' && !isObject ? 'part' : place
  }

  /** The object at this depth; undefined if it is text. */
  at(depth: number): Frame | undefined {
    return depth < this.#textFrom ? this.#frames[depth] : undefined
  }

  /** Ends an object or a list; returns it if it may have held something else than text. */
  close(depth: number): Frame | undefined {
    if (depth < this.#textFrom) return this.#frames[depth]
    if (depth === this.#textFrom) this.#textFrom = nowhere
    return undefined
  }
}

/** Undefined if all in the member is text. */
export function placesOf(memberKey: string): Places | undefined {
  const root = roots.get(memberKey)
  return root && new Places(root)
}

function mayHold(place: Place): boolean {
  return place === 'part' || place === 'typed'
}

/** Whether a part's base64 and its type may stand in the object. */
export function mayHoldMedia({ place }: Frame): boolean {
  return mayHold(place)
}

/** Whether base64 in the object is what its part's type says, and not text. */
export function holdsMedia({ place, type }: Frame): boolean {
  return type === undefined ? place === 'part' : mediaType.test(type)
}

export function holdsSealed({ type }: Frame): boolean {
  return type !== undefined && sealedType.test(type)
}

function createFrame(place: Place): Frame {
  return { place, type: undefined, media: 0, sealed: 0, sealedHeads: 0 }
}

/** Lists and messages note nothing. */
const shared: Readonly<Record<Place, Frame>> = {
  part: createFrame('part'),
  typed: createFrame('typed'),
  message: createFrame('message'),
  prompt: createFrame('prompt'),
  variables: createFrame('variables'),
}
