import { elementsOf, isNull, type JsonElement, openList, openObject, quote } from '#lib/json-elements.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { parse, stringOf } from './figures.ts'
import type { MemberReader } from './member-reader.ts'

/**
 * Models that a body names beside its own: an advisor's among the tools, those that a provider falls back to
 * (`fallbacks`), a router's list (`models`). They are held to the same rules as the one in `model`. What only names
 * a setting kept at the provider (`preset`, `fallbacks: "default"`) may lead to any model.
 *
 * Advisors: Anthropic's tool has a `model`, OpenRouter's tools and plugins also lists of them, in `parameters` or beside.
 */
export interface ModelsElsewhere {
  readonly names: readonly string[]
  /** Some that no member names may be reached as well. */
  readonly isOpen: boolean
}

/** Whether an answer may be of another model than the request's own. */
export function mayStray(elsewhere: ModelsElsewhere | undefined): elsewhere is ModelsElsewhere {
  return elsewhere !== undefined && (elsewhere.isOpen || elsewhere.names.length > 0)
}

const none: ModelsElsewhere = { names: [], isOpen: false }

const listBytesMax = 16 * 1024
/** Tools are read only where one of them may name a model; up to here that takes a few milliseconds. */
const toolsBytesMax = 512 * 1024

export function readModelsElsewhere(
  read: MemberReader,
  body: Buffer,
  { byKey }: JsonMembers,
  model: string,
): ModelsElsewhere {
  const [models, fallbacks] = [byKey.get('models'), byKey.get('fallbacks')]
  const [tools, plugins] = [byKey.get('tools'), byKey.get('plugins')]
  const hasPreset = isThere(body, byKey.get('preset')) || model.includes('@preset/')
  const extra = byKey.get('extra_body')
  const isRouted = hasRouting(body, byKey)
  if (!models && !fallbacks && !tools && !plugins && !extra && !hasPreset && !isRouted) return none
  const found = new Set<string>()
  let isOpen =
    hasPreset ||
    isRouted ||
    leadsOn(body, fallbacks, 'model') ||
    leadsOn(body, plugins, 'models') ||
    leadsOn(body, extra, undefined)
  const take = (key: string, value: unknown) => {
    if (value === null) return
    if (typeof value === 'string') found.add(value)
    else if (key === 'fallbacks') isOpen = true
    else read.refuse(key, `The member ${key} must be a list of names of models.`)
  }
  for (const [key, member] of [
    ['models', models],
    ['fallbacks', fallbacks],
  ] as const) {
    if (!member || !isThere(body, member)) continue
    if (member.end - member.start > listBytesMax) read.refuse(key, `The member ${key} is too long.`)
    else if (body[member.start] !== openList) take(key, key === 'fallbacks' ? undefined : 0)
    else for (const element of elementsOf(body, member)) take(key, nameIn(body, element))
  }
  for (const [key, member] of [
    ['tools', tools],
    ['plugins', plugins],
  ] as const) {
    if (!member || body[member.start] !== openList || !mayName(body, member)) continue
    if (member.end - member.start > toolsBytesMax) {
      read.refuse(key, `The member ${key} is too long to hold the name of a model.`)
      continue
    }
    for (const element of elementsOf(body, member))
      if (takeTool(read, key, body, element, (name) => found.add(name))) isOpen = true
  }
  found.delete(model)
  return { names: [...found], isOpen }
}

/**
 * What routers (LiteLLM above all) read beside `fallbacks`: further models, in forms of their own, or another list of
 * models altogether.
 */
const routing: ReadonlySet<string> = new Set(
  (
    'context_window_fallbacks content_policy_fallbacks context_window_fallback_dict default_fallbacks fallback_models ' +
    'litellm_params model_group_alias model_list router_settings_override user_config'
  ).split(' '),
)

function hasRouting(body: Buffer, byKey: JsonMembers['byKey']): boolean {
  for (const [key, member] of byKey) if (routing.has(key) && isThere(body, member)) return true
  return false
}

/** Members that name models, in any case, as servers written in Go read them. */
const naming = /^(?:preset|fallbacks|.*models?)$/i

/**
 * Whether there are names of models deeper than where they are read one by one. A list of a user's, or a limit of another
 * family, then refuses the request as one that may lead to any model.
 */
function leadsOn(body: Buffer, member: JsonElement | undefined, read: Read): boolean {
  if (!member || (body[member.start] !== openList && body[member.start] !== openObject)) return false
  // What is longer is refused, or was not read at all.
  if (member.end - member.start > toolsBytesMax) return true
  const value = parse(body.subarray(member.start, member.end))
  if (value === undefined) return true
  const tops: readonly unknown[] = Array.isArray(value) ? value : [value]
  return tops.some((top) => names(top, 0, read))
}

/** What is read at the top of an entry, name by name: `model`, members such as `analysis_models` too, or nothing. */
type Read = 'model' | 'models' | undefined

function isReadAsName(key: string, value: unknown, read: Read): boolean {
  if (read === undefined || !(read === 'model' ? key === 'model' : /models?$/.test(key))) return false
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  return values.every((one) => {
    if (typeof one !== 'object' || one === null) return true
    return Object.keys(one).every((inner) => inner === 'model')
  })
}

const depthMax = 16

function names(value: unknown, depth: number, read: Read): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (depth > depthMax) return true
  if (Array.isArray(value)) return value.some((one) => names(one, depth + 1, undefined))
  return Object.entries(value).some(([key, inner]) => {
    if (inner === null || isReadAsName(key, inner, read)) return false
    return naming.test(key) || routing.has(key.toLowerCase()) || names(inner, depth + 1, undefined)
  })
}

function isThere(body: Buffer, member: JsonElement | undefined): boolean {
  return member !== undefined && !isNull(body, member)
}

/**
 * Whether any name in there may end so, also where its letters are escaped (which are all `\u006…` and `\u0073`). Natively,
 * some microseconds for the tools of a coding agent.
 */
function mayName(body: Buffer, { start, end }: JsonElement): boolean {
  const slice = body.subarray(start, end)
  return marks.some((mark) => slice.includes(mark))
}

const marks = ['model"', 'models"', '\\u006', '\\u0073']

/** A name that stands there, or in its member `model`; undefined where neither is one, null where it is null. */
function nameIn(body: Buffer, element: JsonElement): unknown {
  if (isNull(body, element)) return null
  const text = body.subarray(element.start, element.end)
  return text[0] === quote ? stringOf(text) : memberOf(text, 'model')
}

/** Answers whether it names some deeper than they are read. */
function takeTool(
  read: MemberReader,
  key: string,
  body: Buffer,
  element: JsonElement,
  add: (name: string) => void,
): boolean {
  if (body[element.start] !== openObject || !mayName(body, element)) return false
  const tool = body.subarray(element.start, element.end)
  const reading = readMembers(tool)
  const refuse = () =>
    read.refuse(key, `What names a model among the ${key} must be an object whose members stand once.`)
  if (reading.kind !== 'members') {
    refuse()
    return false
  }
  takeNamed(tool, reading.members, add)
  // A function's `parameters` are a schema, in which `model` is a name of its own.
  const type = reading.members.byKey.get('type')
  const settings = reading.members.byKey.get('parameters')
  if (!type || !settings || !stringOf(tool.subarray(type.start, type.end))?.startsWith('openrouter:'))
    return false
  const inner = tool.subarray(settings.start, settings.end)
  if (inner[0] !== openObject) return false
  const within = readMembers(inner)
  if (within.kind === 'members') takeNamed(inner, within.members, add)
  else refuse()
  return leadsOn(tool, settings, 'models')
}

/** Members such as `model` and `analysis_models`. */
function takeNamed(text: Buffer, { byKey }: JsonMembers, add: (name: string) => void): void {
  for (const member of byKey.values()) {
    if (!/models?$/.test(member.key)) continue
    const values = text[member.start] === openList ? elementsOf(text, member) : [member]
    for (const value of values) {
      const name = nameIn(text, value)
      if (typeof name === 'string') add(name)
    }
  }
}

function memberOf(text: Buffer, key: string): unknown {
  const reading = text[0] === openObject ? readMembers(text) : undefined
  const member = reading?.kind === 'members' ? reading.members.byKey.get(key) : undefined
  return member && stringOf(text.subarray(member.start, member.end))
}
