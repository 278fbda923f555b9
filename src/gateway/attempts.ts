import type { Form } from '#lib/form-fields.ts'
import { applyEdits, editForMember } from '#providers/body-edits.ts'
import { namesModel, withModel } from '#providers/model-path.ts'
import type { BodyEdit, RequestChanges } from '#providers/model-request.ts'
import { personEdits } from '#providers/person-members.ts'
import type { Exchange, Receiver } from '#upstreams/exchange.ts'
import { requestHeaders, withJsonType } from '#upstreams/header-lists.ts'
import { passedQuery } from '#upstreams/request-query.ts'
import type { Upstream } from '#upstreams/upstream.ts'
import type { AdmittedRequest } from './admitted.ts'
import { noteSent } from './visit.ts'

/**
 * How often one upstream is tried again after a connection turned out to be closed: a restart of the upstream, or of a
 * proxy in front of it, may leave many such connections in the pool.
 */
const staleMax = 3

/** Sends one request to the upstreams that serve its model, one after the other, each when the relay asks for it. */
export class Attempts {
  readonly #job: AdmittedRequest
  readonly #candidates: readonly Upstream[]
  readonly #query: string
  /** The model is in the path, and not in the body. */
  readonly #isInPath: boolean
  #count = 0
  #next = 0
  #staleCount = 0
  #exchange: Exchange | undefined
  #outputWritten: number | undefined

  constructor(job: AdmittedRequest, candidates: readonly Upstream[]) {
    this.#job = job
    this.#candidates = candidates
    const url = job.visit.request.url ?? ''
    const query = url.indexOf('?')
    this.#query = query < 0 ? '' : passedQuery(url.slice(query), job.upstreamEndpoint.hasNoBody)
    this.#isInPath = namesModel(job.upstreamEndpoint.upstreamPath)
  }

  get hasNext(): boolean {
    return this.#next < this.#candidates.length
  }

  /** The upstream that was tried last. */
  get upstream(): Upstream | undefined {
    return this.#candidates[this.#next - 1]
  }

  get exchange(): Exchange | undefined {
    return this.#exchange
  }

  sendToNext(receiver: Receiver): void {
    const upstream = this.#candidates[this.#next]
    if (!upstream) throw new Error('no upstream is left')
    this.#next += 1
    this.#staleCount = 0
    this.#send(upstream, receiver)
  }

  /** Whether the same upstream may be tried again after a pooled connection turned out to be closed. */
  get mayRepeat(): boolean {
    return this.#staleCount < staleMax && this.upstream !== undefined
  }

  repeat(receiver: Receiver): void {
    const { upstream } = this
    if (!upstream) throw new Error('no upstream was tried')
    this.#staleCount += 1
    this.#send(upstream, receiver)
  }

  #send(upstream: Upstream, receiver: Receiver): void {
    const { visit } = this.#job
    const { method = 'POST', hasNoBody } = this.#job.upstreamEndpoint
    const given = requestHeaders(visit.request.rawHeaders, upstream.passed.request)
    const passed = withoutPerson(given, visit.frontEnd?.settings.header)
    const headers = !hasNoBody && isJson(this.#job) ? withJsonType(passed) : passed
    const body = hasNoBody ? null : this.#bodyFor(upstream)
    noteSent(visit)
    this.#count += 1
    const attempt = this.#count
    const request = {
      method,
      path: this.#pathFor(upstream),
      headers,
      body,
      onBehalfOf: this.#job.userId,
    } as const
    const exchange = upstream.send(request, receiver)
    // An attempt that failed at once may already have started the next one, whose exchange must stay.
    if (this.#count === attempt) this.#exchange = exchange
  }

  #pathFor(upstream: Upstream): string {
    const { request, upstreamEndpoint } = this.#job
    const { upstreamPath } = upstreamEndpoint
    if (!this.#isInPath) return upstreamPath + this.#query
    return withModel(upstreamPath, upstream.upstreamNameOf(request.model)) + this.#query
  }

  /** The output cap of each answer, if one was written into the request that was sent last. */
  get outputWritten(): number | undefined {
    return this.#outputWritten
  }

  /** The body to send: the client's own bytes if nothing has to be changed. */
  #bodyFor(upstream: Upstream): Buffer {
    const { visit, userId, body, members, request, decision, upstreamEndpoint } = this.#job
    const { outputMost, advisorMost } = decision
    const changes: RequestChanges = {
      outputMost: request.hasOutput ? outputMost : undefined,
      advisorMost,
      outputCapMember: upstream.outputCapMember,
      outputCapMax: upstream.outputCapMax,
      refusesUnknown: upstream.refusesUnknown,
      isOfficial: upstream.isOfficial,
      addsUsage: request.lacksUsage && upstream.takesStreamOptions,
      refusesStreamOptions: !upstream.takesStreamOptions,
    }
    const edits = upstreamEndpoint.editsFor(body, members, changes)
    this.#outputWritten = edits.find(({ bound }) => bound !== undefined)?.bound
    const more = visit.frontEnd ? personEdits(visit.provider.personMembers, this.#job, userId) : noEdits
    const all = more.length === 0 ? edits : edits.concat(more)
    return applyEdits(body, this.#isInPath ? all : all.concat(editsForUpstream(upstream, this.#job)))
  }
}

/** The header in which a front end names the person goes no further, whatever the upstream's list says. */
function withoutPerson(headers: string[], name: string | undefined): string[] {
  if (name === undefined) return headers
  return headers.filter((_, index) => headers[index - (index % 2)]?.toLowerCase() !== name)
}

/** Whether the body was read as JSON, or would have been if the request named a model. */
function isJson({ form, request, visit }: AdmittedRequest): boolean {
  if (form) return false
  return !request.isStandIn || /urlencoded/i.test(visit.request.headers['content-type'] ?? '')
}

/** Names the model as the upstream does. */
function editsForUpstream(
  upstream: Upstream,
  { members, request, form }: AdmittedRequest,
): readonly BodyEdit[] {
  if (request.isStandIn) return noEdits
  const name = upstream.upstreamNameOf(request.model)
  if (name === request.model) return noEdits
  return form ? editsOfForm(form, name) : [editForMember(members, 'model', JSON.stringify(name))]
}

const noEdits: readonly BodyEdit[] = []

/** A field of a form holds its plain value, without quotes. */
function editsOfForm(form: Form, name: string): readonly BodyEdit[] {
  const model = form.fields.get('model')
  return model ? [{ start: model.start, end: model.end, text: name }] : []
}
