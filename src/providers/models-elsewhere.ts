import { elementsOf, isNull, type JsonElement, openList, openObject, quote } from '#lib/json-elements.ts'
import { type JsonMembers, readMembers } from '#lib/json-members.ts'
import { parse, stringOf } from './figures.ts'
import type { MemberReader } from './member-reader.ts'

/**
 * Models that a body names beside its own: an advisor's among the tools, those that a provider falls back to
 * (`fallbacks`), a router's list (`models`). They are held to the same rules as the one in `model`. A member that names a
 * setting kept at the provider (`preset`, `fallbacks: "default"`) may lead to any model.
 *
 * Advisors: Anthropic's tool has a `model`, OpenRouter's tools and plugins also lists of them, in `parameters` or beside.
 */
export interface ModelsElsewhere {
  readonly names: readonly string[]
  /** Models that the body does not name may be reached as well. */
  readonly isOpen: boolean
}

/** Whether another model than the request's own may answer. */
export function mayStray(elsewhere: ModelsElsewhere | undefined): elsewhere is ModelsElsewhere {
  return elsewhere !== undefined && (elsewhere.isOpen || elsewhere.names.length > 0)
}

const none: ModelsElsewhere = { names: [], isOpen: false }

const listBytesMax = 16 * 1024
/** The longest list of tools that is read, in a few milliseconds; it is read only if one of them may name a model. */
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
 * Members that routers (mainly LiteLLM) read beside `model` and `fallbacks`: another name in place of the model's, further
 * models in their own formats, another list of models, or another server.
 */
const routing: ReadonlySet<string> = new Set(
  (
    'context_window_fallbacks content_policy_fallbacks context_window_fallback_dict default_fallbacks fallback_models ' +
    'litellm_params model_group_alias model_list router_settings_override user_config deployment_id deployment engine ' +
    'model_id specific_deployment target_model_names custom_llm_provider api_base base_url'
  ).split(' '),
)

function hasRouting(body: Buffer, byKey: JsonMembers['byKey']): boolean {
  for (const [key, member] of byKey) if (routing.has(key) && isThere(body, member)) return true
  return false
}

/** Members that name models; letter case does not matter, since servers written in Go ignore it. */
const naming = /^(?:preset|fallbacks|.*models?)$/i

/**
 * Whether names of models are nested deeper than they are read one by one. The request then counts as one that may lead
 * to any model, and is refused for users with a list of models or a limit on another family.
 */
function leadsOn(body: Buffer, member: JsonElement | undefined, read: Read): boolean {
  if (!member || (body[member.start] !== openList && body[member.start] !== openObject)) return false
  // A longer member is refused, or was not read at all.
  if (member.end - member.start > toolsBytesMax) return true
  const value = parse(body.subarray(member.start, member.end))
  if (value === undefined) return true
  const tops: readonly unknown[] = Array.isArray(value) ? value : [value]
  return tops.some((top) => names(top, 0, read))
}

/**
 * Which members at the top of an entry are read name by name: only `model`, also members such as `analysis_models`, or
 * nothing.
 */
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
 * Whether any member's name may end in `model` or `models`, also with escaped letters (which are all `\u006…` and
 * `\u0073`). The native search takes some microseconds for the tools of a coding agent.
 */
function mayName(body: Buffer, { start, end }: JsonElement): boolean {
  const slice = body.subarray(start, end)
  return marks.some((mark) => slice.includes(mark))
}

const marks = ['model"', 'models"', '\\u006', '\\u0073']

/** The name in a string, or in an object's member `model`; undefined if there is no name, null if the value is null. */
function nameIn(body: Buffer, element: JsonElement): unknown {
  if (isNull(body, element)) return null
  const text = body.subarray(element.start, element.end)
  return text[0] === quote ? stringOf(text) : memberOf(text, 'model')
}

/** Returns whether the tool names models deeper than they are read. */
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
    read.refuse(
      key,
      `What names a model among the ${key} must be an object in which each member is given once.`,
    )
  if (reading.kind !== 'read') {
    refuse()
    return false
  }
  takeNamed(tool, reading.value, add)
  // A function's `parameters` are a schema, in which `model` is only the name of a parameter.
  const type = reading.value.byKey.get('type')
  const settings = reading.value.byKey.get('parameters')
  if (!type || !settings || !stringOf(tool.subarray(type.start, type.end))?.startsWith('openrouter:'))
    return false
  const inner = tool.subarray(settings.start, settings.end)
  if (inner[0] !== openObject) return false
  const within = readMembers(inner)
  if (within.kind === 'read') takeNamed(inner, within.value, add)
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
  const member = reading?.kind === 'read' ? reading.value.byKey.get(key) : undefined
  return member && stringOf(text.subarray(member.start, member.end))
}
