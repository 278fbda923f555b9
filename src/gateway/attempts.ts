import type { Form } from '#lib/form-fields.ts'
import { applyEdits, editForMember, removalOf } from '#providers/body-edits.ts'
import type { BodyEdit, RequestChanges } from '#providers/provider.ts'
import type { Exchange, Receiver } from '#upstreams/exchange.ts'
import { requestHeaders } from '#upstreams/header-lists.ts'
import { passedQuery } from '#upstreams/request-query.ts'
import type { Upstream } from '#upstreams/upstream.ts'
import type { AdmittedRequest } from './admitted.ts'
import { noteSent } from './visit.ts'

/** A restart of an upstream, or of what stands before it, may leave many connections that only look open. */
const staleMax = 3

/** Sends one request to the upstreams that serve its model, one after the other, as far as its relay wants. */
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

  /** The one that was tried last. */
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

  /** Sends to the same one again: for a connection that turned out to be at its end. False after some of these. */
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
    // One that failed at once may have been followed by the next already.
    if (this.#count === attempt) this.#exchange = exchange
  }

  /** The most output that each answer may have, where that was written into what was sent last. */
  get outputWritten(): number | undefined {
    return this.#outputWritten
  }

  /** The client's own bytes wherever nothing has to be changed. */
  #bodyFor(upstream: Upstream): Buffer {
    const { body, members, request, decision, endpoint } = this.#job
    const { outputMost, advisorMost } = decision
    const changes: RequestChanges = {
      ...(outputMost !== undefined && request.hasOutput && { outputMost }),
      ...(advisorMost && { advisorMost }),
      ...(upstream.outputCapMember !== undefined && { outputCapMember: upstream.outputCapMember }),
      ...(upstream.outputCapMax !== undefined && { outputCapMax: upstream.outputCapMax }),
      ...(upstream.refusesUnknown && { refusesUnknown: true }),
      isOfficial: upstream.isOfficial,
      ...(request.lacksUsage && upstream.takesStreamOptions && { addsUsage: true }),
    }
    const edits = endpoint.editsFor(body, members, changes)
    this.#outputWritten = edits.find(({ bound }) => bound !== undefined)?.bound
    return applyEdits(body, [...edits, ...editsForUpstream(upstream, this.#job)])
  }
}

/** The model by the name that the upstream has for it, and without the member that it refuses. */
function editsForUpstream(
  upstream: Upstream,
  { body, members, request, form }: AdmittedRequest,
): readonly BodyEdit[] {
  if (request.isStandIn) return []
  const name = upstream.upstreamNameOf(request.model)
  if (form) return name === request.model ? [] : editsOfForm(form, name)
  const removal = upstream.takesStreamOptions ? undefined : removalOf(body, members, 'stream_options')
  return [
    ...(name === request.model ? [] : [editForMember(members, 'model', JSON.stringify(name))]),
    ...(removal ? [removal] : []),
  ]
}

/** In a form a field stands as it is, without quotes. */
function editsOfForm(form: Form, name: string): readonly BodyEdit[] {
  const model = form.fields.get('model')
  return model ? [{ start: model.start, end: model.end, text: name }] : []
}
