import type { Form } from '#lib/form-fields.ts'
import { applyEdits, editForMember, removalOf } from '#providers/body-edits.ts'
import type { BodyEdit, RequestChanges } from '#providers/provider.ts'
import type { Exchange, Receiver } from '#upstreams/exchange.ts'
import { requestHeaders } from '#upstreams/header-lists.ts'
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
  readonly #path: string
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
    const { upstreamPath } = job.endpoint
    this.#path = query < 0 ? upstreamPath : upstreamPath + passedQuery(url.slice(query))
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

  /** Retries at the same upstream after a pooled connection turned out to be closed. False if the retries are used up. */
  sendAgain(receiver: Receiver): boolean {
    const { upstream } = this
    if (this.#staleCount >= staleMax || !upstream) return false
    this.#staleCount += 1
    this.#send(upstream, receiver)
    return true
  }

  #send(upstream: Upstream, receiver: Receiver): void {
    const { visit } = this.#job
    const { method = 'POST', hasNoBody } = this.#job.endpoint
    const headers = requestHeaders(visit.request.rawHeaders, upstream.passed.request)
    const body = hasNoBody ? null : this.#bodyFor(upstream)
    noteSent(visit)
    this.#count += 1
    const attempt = this.#count
    const request = {
      method,
      path: this.#path,
      headers,
      body,
      onBehalfOf: this.#job.userId,
    } as const
    const exchange = upstream.send(request, receiver)
    // An attempt that failed at once may already have started the next one, whose exchange must stay.
    if (this.#count === attempt) this.#exchange = exchange
  }

  /** The output cap of each answer, if one was written into the request that was sent last. */
  get outputWritten(): number | undefined {
    return this.#outputWritten
  }

  /** The body to send: the client's own bytes if nothing has to be changed. */
  #bodyFor(upstream: Upstream): Buffer {
    const { body, members, request, decision, endpoint } = this.#job
    const { outputMost, advisorMost } = decision
    const changes: RequestChanges = {
      outputMost: request.hasOutput ? outputMost : undefined,
      advisorMost,
      outputCapMember: upstream.outputCapMember,
      outputCapMax: upstream.outputCapMax,
      refusesUnknown: upstream.refusesUnknown,
      isOfficial: upstream.isOfficial,
      addsUsage: request.lacksUsage && upstream.takesStreamOptions,
    }
    const edits = endpoint.editsFor(body, members, changes)
    this.#outputWritten = edits.find(({ bound }) => bound !== undefined)?.bound
    return applyEdits(body, edits.concat(editsForUpstream(upstream, this.#job)))
  }
}

/** Names the model as the upstream does, and removes the member that the upstream refuses. */
function editsForUpstream(
  upstream: Upstream,
  { body, members, request, form }: AdmittedRequest,
): readonly BodyEdit[] {
  if (request.isStandIn) return []
  const name = upstream.upstreamNameOf(request.model)
  if (form) return name === request.model ? [] : editsOfForm(form, name)
  const removal = upstream.takesStreamOptions ? undefined : removalOf(body, members, 'stream_options')
  if (name === request.model && !removal) return noEdits
  const edits = name === request.model ? [] : [editForMember(members, 'model', JSON.stringify(name))]
  if (removal) edits.push(removal)
  return edits
}

const noEdits: readonly BodyEdit[] = []

/** A field of a form holds its plain value, without quotes. */
function editsOfForm(form: Form, name: string): readonly BodyEdit[] {
  const model = form.fields.get('model')
  return model ? [{ start: model.start, end: model.end, text: name }] : []
}
