import { createProblem } from '#core/errors.ts'
import type { InputUnits } from '#core/input-kinds.ts'
import { type Refused, refused } from '#core/reading.ts'
import { boundaryOf, type Form, readForm } from '#lib/form-fields.ts'
import { type JsonMembers, type MembersReading, readMembers, scanMembers } from '#lib/json-members.ts'
import type { InputCorrections } from '#metering/input-corrections.ts'
import { applyEdits, editForMember } from '#providers/body-edits.ts'
import { boundEstimate, type EstimateMode, unitsByKind, usualEstimate } from '#providers/estimate.ts'
import { type InputSize, measureInput } from '#providers/input-size.ts'
import type { ModelRequest } from '#providers/model-request.ts'
import { mayStray } from '#providers/models-elsewhere.ts'
import type { Endpoint, Provider } from '#providers/provider.ts'
import type { Visit } from './visit.ts'

export interface ParsingContext {
  readonly inputEstimate: EstimateMode
  readonly corrections: Pick<InputCorrections, 'factorsOf'>
  /** The model of a request that names a stored prompt and no model. */
  readonly promptModel?: string | undefined
}

/** What the gateway has read of a request. */
export interface ParsedRequest {
  readonly kind: 'parsed'
  /** The client's bytes, or these with the configured model of stored prompts written in. */
  readonly body: Buffer
  readonly endpoint: Endpoint
  readonly members: JsonMembers
  readonly request: ModelRequest
  readonly input: number
  readonly inputUnits: InputUnits | undefined
  readonly form?: Form | undefined
}

/** Reads a request's body. Answers at once for a small one: each wait would cost a turn of the microtasks. */
export function parseRequest(
  body: Buffer,
  visit: Visit,
  endpoint: Endpoint,
  context: ParsingContext,
): ParsedRequest | Refused | Promise<ParsedRequest | Refused> {
  const { standIn } = endpoint
  if (standIn) return parsedAs(standIn, endpoint.hasNoBody ? noBytes : body, endpoint)
  const mediaType = visit.request.headers['content-type']
  const boundary = endpoint.formFields && boundaryOf(mediaType)
  if (endpoint.formFields && boundary !== undefined) return parseForm(body, boundary, visit, endpoint)
  const withoutModel = standInEndpoint(visit, endpoint)
  // A body that is not JSON names no model.
  if (withoutModel && !mayBeJson(mediaType)) return parseRequest(body, visit, withoutModel, context)
  const scan = scanMembers(body)
  if (scan instanceof Promise)
    return scan.then((later) => parseScanned(later, body, visit, endpoint, context))
  return parseScanned(scan, body, visit, endpoint, context)
}

function parseScanned(
  scan: MembersReading,
  body: Buffer,
  visit: Visit,
  endpoint: Endpoint,
  context: ParsingContext,
): ParsedRequest | Refused | Promise<ParsedRequest | Refused> {
  if (scan.kind === 'invalid') return refused(createProblem('bad_json', scan.message))
  const members = scan.value
  const withoutModel = standInEndpoint(visit, endpoint)
  if (withoutModel && !members.byKey.has('model')) return parseRequest(body, visit, withoutModel, context)
  const { promptModel } = context
  if (promptModel !== undefined && visit.model === undefined && lacksModel(members, endpoint)) {
    // The model is written into the body, so that the upstream runs the admitted model whatever the stored prompt names.
    const stated = applyEdits(body, [editForMember(members, 'model', JSON.stringify(promptModel))])
    return parseRequest(stated, visit, endpoint, context)
  }
  const reading = endpoint.readRequest(body, members, visit.model)
  if (reading.kind === 'refused') return reading
  const request = reading.value
  const parsed: ParsedRequest = { kind: 'parsed', body, endpoint, members, request, ...noEstimate }
  return endpoint.isMetered ? withEstimate(parsed, visit.provider, context) : parsed
}

/** How the request is treated if its body names no model; undefined where the path has named one. */
function standInEndpoint({ model }: Visit, { withoutModel }: Endpoint): Endpoint | undefined {
  return model === undefined ? withoutModel : undefined
}

function lacksModel({ byKey }: JsonMembers, { modelMayBeIn }: Endpoint): boolean {
  return modelMayBeIn !== undefined && byKey.has(modelMayBeIn) && !byKey.has('model')
}

type InputEstimate = Pick<ParsedRequest, 'input' | 'inputUnits'>

const noEstimate: InputEstimate = { input: 0, inputUnits: undefined }

function withEstimate(
  parsed: ParsedRequest,
  { inputMembers }: Provider,
  context: ParsingContext,
): ParsedRequest | Promise<ParsedRequest> {
  const { body, members, request } = parsed
  const size = measureInput(body, members, request.model, inputMembers)
  if (size instanceof Promise) return size.then((later) => withSize(parsed, later, context))
  return withSize(parsed, size, context)
}

function withSize(
  { kind, body, endpoint, members, request }: ParsedRequest,
  size: InputSize,
  { inputEstimate, corrections }: ParsingContext,
): ParsedRequest {
  const { model, elsewhere, advisor } = request
  const units = unitsByKind(size, model)
  const usual = usualEstimate(units, corrections.factorsOf(model))
  const input = inputEstimate === 'bound' ? Math.max(usual, boundEstimate(size, model)) : usual
  // If another model may answer in its place, the figures say nothing about this one. Figures of other endpoints (images,
  // speech) say nothing about text, so the input corrections must not learn from them.
  const isOfThisModel = size.isWhole && !advisor && !mayStray(elsewhere) && !endpoint.isByRequest
  return { kind, body, endpoint, members, request, input, inputUnits: isOfThisModel ? units : undefined }
}

/** The estimated input units of one image or sound in a form. */
const fileUnits = 1600

const noMembers: JsonMembers = { byKey: new Map(), insertAt: 0, isEmpty: true }
const noBytes = Buffer.alloc(0)

/** A request whose body is not read. It counts as one request, whatever its body holds. */
function parsedAs(request: ModelRequest, body: Buffer, endpoint: Endpoint): ParsedRequest {
  return { kind: 'parsed', body, endpoint, members: noMembers, request, ...noEstimate }
}

/**
 * Some servers read a body as JSON also if its type is missing, text or a plain form. Only types that rule JSON out are
 * excluded.
 */
function mayBeJson(mediaType: string | undefined): boolean {
  return !/^\s*(?:application\/octet-stream|multipart\/|audio\/|image\/|video\/)/i.test(mediaType ?? '')
}

/** Reads the fields of a form as the equivalent JSON. The form itself is sent on unchanged. */
function parseForm(
  body: Buffer,
  boundary: string,
  visit: Visit,
  endpoint: Endpoint,
): ParsedRequest | Refused {
  const parts = readForm(body, boundary)
  if (parts.kind === 'invalid') return refused(createProblem('bad_request', parts.message))
  const form = parts.value
  const withoutModel = standInEndpoint(visit, endpoint)
  if (withoutModel?.standIn && !form.fields.has('model'))
    return parsedAs(withoutModel.standIn, body, withoutModel)
  const names = fieldsToRead(visit, endpoint)
  const twice = names.find((name) => form.repeated.has(name))
  if (twice !== undefined) return refused(createProblem('bad_request', `The field ${twice} is given twice.`))
  const values = names.flatMap((name) => {
    const field = form.fields.get(name)
    return field && field.value !== '' ? [[name, name === 'model' ? field.value : jsonOf(field.value)]] : []
  })
  const json = Buffer.from(JSON.stringify(Object.fromEntries(values)))
  const scan = readMembers(json)
  if (scan.kind === 'invalid') return refused(createProblem('bad_request', scan.message))
  const reading = endpoint.readRequest(json, scan.value, visit.model)
  if (reading.kind === 'refused') return reading
  const input = endpoint.isMetered ? Math.ceil(form.textBytes / 3) + form.files * fileUnits : 0
  const request = reading.value
  return { kind: 'parsed', body, endpoint, members: noMembers, request, input, inputUnits: undefined, form }
}

/** A field `model` beside a model in the path is read as well, to be refused: the upstream could obey it. */
function fieldsToRead({ model }: Visit, { formFields = [] }: Endpoint): readonly string[] {
  return model === undefined || formFields.includes('model') ? formFields : [...formFields, 'model']
}

function jsonOf(text: string): unknown {
  return /^(?:true|false|\d{1,9})$/.test(text) ? JSON.parse(text) : text
}
