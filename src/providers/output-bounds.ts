import { toUnits } from '#core/units.ts'
import { elementsOf, isNull, openList, openObject } from '#lib/json-elements.ts'
import { type JsonMember, type JsonMembers, readMembers } from '#lib/json-members.ts'
import { editForMember, renameMember } from './body-edits.ts'
import type { MemberReader } from './member-reader.ts'
import type { BodyEdit, RequestChanges } from './model-request.ts'

/**
 * Servers of one protocol obey different members as the output bound. A body may say `max_completion_tokens: 1` to a
 * server that reads only `max_tokens`, or add llama.cpp's `n_predict` to both. So this file finds every member that any
 * server takes for a bound. For a user with a limit each of them is lowered to what the quota holds, and the one that the
 * upstream obeys is added if it is missing.
 */

/**
 * Members that bound an answer: those of the protocols; llama.cpp (`n_predict`), Ollama (`num_predict`), text generation
 * servers and their like (`max_new_tokens`, `max_length`, `max_gen_len`), and the spellings of Google's API.
 */
const boundNames: ReadonlySet<string> = new Set(
  (
    'max_tokens max_completion_tokens max_output_tokens n_predict num_predict max_new_tokens max_length ' +
    'max_gen_len max_tokens_to_sample maxTokens maxOutputTokens maxCompletionTokens maxNewTokens'
  ).split(' '),
)

/** Objects whose members some servers merge into the request. */
const containerNames: ReadonlySet<string> = new Set(
  (
    'options extra_body parameters generation_config generationConfig sampling_params extra_params ' +
    'optional_params litellm_params'
  ).split(' '),
)
/** Members that such an object must not set differently from the request, by which the quota is checked. */
const neverInside: ReadonlySet<string> = new Set(
  'model models preset fallbacks tools n best_of n_cmpl num_return_sequences stream stream_options prompt prompt_embeds messages input'.split(
    ' ',
  ),
)
/**
 * Members that a fallback must not set, since they would change the reservation. Its model, texts and choices are read in
 * place.
 */
const neverInFallback: ReadonlySet<string> = new Set(
  'models preset fallbacks tools stream stream_options prompt prompt_embeds'.split(' '),
)
const containerBytesMax = 64 * 1024
const containerDepthMax = 3

/** Every name that this file searches for at the top level of a body. */
export const outputMemberNames: ReadonlySet<string> = new Set([...boundNames, ...containerNames])

type Role = 'bound' | 'container' | 'fallbacks'

const roles: ReadonlyMap<string, Role> = new Map<string, Role>([
  ...[...boundNames].map((name) => [name, 'bound'] as const),
  ...[...containerNames].map((name) => [name, 'container'] as const),
  ['fallbacks', 'fallbacks'],
])

interface Bound {
  readonly name: string
  /** Where its value lies in the body. */
  readonly start: number
  readonly end: number
  /** 0 or less, a fraction or a text is not a bound on some servers; it reads as 0 or as -1. */
  readonly value: number
  /** The bound of a fallback holds for its model alone. */
  readonly place: 'top' | 'merged' | 'fallback'
}

/** How one endpoint's answers are bounded. */
export interface BoundRule {
  /** The members that the protocol's own service obeys here; the first is the one to write. */
  readonly official: readonly string[]
  /** The member that other servers obey here, unless one is configured. */
  readonly elsewhere: string
  /** The official service itself ends an answer without a bound early enough. */
  readonly isBoundByDefault?: boolean
  /** The official service takes 0 for a bound of 0. Other servers may take it for no bound. */
  readonly takesZero?: boolean
  /** The configured member replaces `elsewhere`, instead of being used beside it. */
  readonly isConfigurable?: boolean
}

/** The smallest bound of each answer that the request states, at least 1; undefined without a bound. */
export function readBound(
  read: MemberReader,
  body: Buffer,
  members: JsonMembers,
  rule: BoundRule,
): number | undefined {
  for (const name of rule.official) read.units(name)
  let smallest: number | undefined
  for (const bound of findBounds(body, members, undefined, read.refuse)) {
    if (bound.place === 'fallback') continue
    // An upstream that may take 0 for no bound gets 1 instead.
    const stated = isZeroBound(bound, rule) ? 1 : bound.value
    if (stated >= 1) smallest = Math.min(smallest ?? stated, stated)
  }
  return smallest === undefined ? undefined : toUnits(smallest)
}

/** The edits after which no server gives any answer more output than `outputMost`; an empty list if that is so already. */
export function boundEdits(
  body: Buffer,
  members: JsonMembers,
  {
    outputMost: most,
    outputCapMember,
    refusesUnknown = false,
    outputCapMax = Number.POSITIVE_INFINITY,
    isOfficial = false,
  }: RequestChanges,
  rule: BoundRule,
): readonly BodyEdit[] {
  if (most === undefined) return []
  const cap = Math.min(most, outputCapMax)
  const edits: BodyEdit[] = []
  const found = findBounds(body, members, outputCapMember)
  for (const bound of found) {
    const { start, end, value } = bound
    if ((value >= 1 && value <= most) || (isOfficial && isZeroBound(bound, rule))) continue
    edits.push({ start, end, text: String(cap), bound: cap })
  }
  const isSaid = rule.isConfigurable && outputCapMember !== undefined && outputCapMember !== rule.official[0]
  const wanted =
    isOfficial && !isSaid ? missingThere(found, rule) : obeyedBy(rule, outputCapMember, refusesUnknown)
  for (const name of wanted) {
    if (topBound(found, name)) continue
    // Some services refuse a request with both names of a bound, so the present member is renamed.
    const mayRename = wanted.length === 1 && !members.byKey.has(name)
    const alias = mayRename ? aliasOf(name, found) : undefined
    const member = alias && members.byKey.get(alias.name)
    if (member) {
      const isKept = alias.value >= 1 && alias.value <= most
      edits.push({ ...renameMember(body, member, name), bound: isKept ? alias.value : cap })
    } else edits.push({ ...editForMember(members, name, String(cap)), bound: cap })
  }
  return edits
}

function topBound(found: readonly Bound[], name: string): Bound | undefined {
  for (const bound of found) if (bound.place === 'top' && bound.name === name) return bound
  return undefined
}

/** The member that bounds an answer at the protocol's own service, if the body has no such bound. */
function missingThere(found: readonly Bound[], rule: BoundRule): readonly string[] {
  let isStated = false
  for (const name of rule.official) {
    const bound = topBound(found, name)
    if (!bound) continue
    if (bound.value >= 1 || isZeroBound(bound, rule)) return []
    isStated = true
  }
  return !isStated && rule.isBoundByDefault ? [] : rule.official.slice(0, 1)
}

/** The members that every other server is assumed to obey. */
function obeyedBy(
  { elsewhere, isConfigurable }: BoundRule,
  configured: string | undefined,
  refusesUnknown: boolean,
): readonly string[] {
  if (configured === undefined || configured === elsewhere) return [elsewhere]
  if (isConfigurable) return [configured]
  return refusesUnknown ? [elsewhere] : [configured, elsewhere]
}

function isZeroBound({ name, value, place }: Bound, rule: BoundRule): boolean {
  return value === 0 && place === 'top' && rule.takesZero === true && rule.official.includes(name)
}

/** The two names of one bound at the same endpoint. */
const aliases = ['max_tokens', 'max_completion_tokens']

function aliasOf(name: string, found: readonly Bound[]): Bound | undefined {
  const other = aliases.includes(name) ? aliases.find((each) => each !== name) : undefined
  return other === undefined ? undefined : topBound(found, other)
}

type Refuse = (name: string, message: string) => void

/** One search for the bounds of a body. */
interface Search {
  readonly found: Bound[]
  /** A configured member that bounds output as well. */
  readonly configured: string | undefined
  readonly refuse: Refuse | undefined
}

/** The bounds of a body that are not null, in their order. */
function findBounds(
  body: Buffer,
  members: JsonMembers,
  configured?: string,
  refuse?: Refuse,
): readonly Bound[] {
  let found: Bound[] | undefined
  for (const member of members.byKey.values()) {
    // The members of nearly every request are none of these.
    if (!roles.has(member.key) && member.key !== configured) continue
    found ??= []
    collect({ found, configured, refuse }, { text: body, offset: 0, depth: 0, inside: 'merged' }, member)
  }
  return found ?? noBounds
}

const noBounds: readonly Bound[] = []

/** The object whose members are searched. */
interface Place {
  readonly text: Buffer
  /** Where `text` begins in the body. */
  readonly offset: number
  readonly depth: number
  readonly inside: 'merged' | 'fallback'
}

function collectAll(search: Search, place: Place, { byKey }: JsonMembers): void {
  for (const member of byKey.values()) collect(search, place, member)
}

function collect(search: Search, place: Place, member: JsonMember): void {
  const { text, offset, depth, inside } = place
  const { key: name, start, end } = member
  const role = name === search.configured ? 'bound' : roles.get(name)
  if (role === 'bound') {
    // In an object that is merged into the request, null replaces the bound outside.
    const value = boundOf(text, member) ?? (depth === 0 ? null : -1)
    if (value === null) return
    const where = depth === 0 ? 'top' : inside
    search.found.push({ name, start: start + offset, end: end + offset, value, place: where })
  } else if (role === 'fallbacks' && depth === 0) openEach(search, text, member)
  else if (role === 'container' && depth < containerDepthMax) open(search, place, member)
  else if (depth > 0 && (inside === 'fallback' && depth === 1 ? neverInFallback : neverInside).has(name)) {
    search.refuse?.(name, `The member ${name} must stand at the top of the body, not inside another.`)
  }
}

/** Each fallback may set a different bound for its own model, also in an object that is merged into it. */
function openEach(search: Search, text: Buffer, list: JsonMember): void {
  if (text[list.start] !== openList || list.end - list.start > containerBytesMax) return
  for (const { start, end } of elementsOf(text, list)) {
    if (text[start] !== openObject) continue
    const inner = text.subarray(start, end)
    const reading = readMembers(inner)
    if (reading.kind === 'read')
      collectAll(search, { text: inner, offset: start, depth: 1, inside: 'fallback' }, reading.value)
  }
}

function open(search: Search, { text, offset, depth, inside }: Place, member: JsonMember): void {
  const { key, start, end } = member
  if (text[start] !== openObject) return
  const inner = text.subarray(start, end)
  const reading = inner.length <= containerBytesMax ? readMembers(inner) : undefined
  if (reading?.kind === 'read')
    collectAll(search, { text: inner, offset: offset + start, depth: depth + 1, inside }, reading.value)
  else search.refuse?.(key, `The member ${key} must be a short object whose members stand once.`)
}

const numberBytesMax = 64

/** Null if the member counts as absent. A value that is not a whole number may be read as anything. */
export function boundOf(text: Buffer, member: JsonMember): number | null {
  if (isNull(text, member)) return null
  const { start, end } = member
  const first = text[start] ?? 0
  if (first > 0x39 || first < 0x2d || end - start > numberBytesMax) return -1
  const value = Number(text.toString('latin1', start, end))
  return Number.isSafeInteger(value) && value >= 0 ? value : -1
}
