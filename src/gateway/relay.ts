import { createNotServed, createProblem, type Problem } from '#core/errors.ts'
import type { AdmittedRequest } from './admitted.ts'
import type { AnswerOwner } from './answer-owner.ts'
import { Attempts } from './attempts.ts'
import { noFigures } from './charge.ts'
import { Delivery } from './delivery.ts'
import { pushAll, refuse, streamRefusal } from './refusal.ts'
import type { Ending, RelayContext } from './relay-context.ts'
import { settlementOf } from './relay-settlement.ts'
import type { Block } from './relays.ts'
import { UpstreamAnswer } from './upstream-answer.ts'
import { troubleLog } from './upstream-trouble.ts'
import { isGone, timingOf } from './visit.ts'

/** Of a request that no upstream was asked for. */
const noCourse = {
  figures: noFigures,
  isStream: false,
  wasSent: false,
  upstreamStatus: 0,
  firstByteAt: undefined,
}

/**
 * One request from its admission to its settlement. It tries one upstream after the other until one answers, and passes
 * that answer through. Whatever happens, it ends once, in `conclude`: by the answer's end, a failure, a client that
 * hangs up, or a cut.
 */
export class Relay implements AnswerOwner {
  readonly userId: string
  readonly accessToken: string
  block: Block | undefined
  tokenEnd: Block | undefined
  readonly frontEndId: string | undefined
  frontEndBlock: Block | undefined
  readonly context: RelayContext
  readonly job: AdmittedRequest
  readonly delivery: Delivery
  readonly attempts: Attempts
  isClientGone = false
  isOnDisk = false
  /** The answer of the upstream that was tried last. */
  #answer: UpstreamAnswer | undefined
  #settling: Promise<unknown> | undefined
  #earlyTimer: NodeJS.Timeout | undefined
  #drainTimer: NodeJS.Timeout | undefined
  #drainedBytes = 0
  #leave: (() => void) | undefined
  #isConcluded = false

  constructor(job: AdmittedRequest, context: RelayContext) {
    this.userId = job.userId
    this.accessToken = job.accessToken
    this.block = job.block
    this.tokenEnd = job.tokenEnd
    this.frontEndId = job.frontEndId
    this.frontEndBlock = job.frontEndBlock
    this.job = job
    this.context = context
    const { visit, upstreamProvider, upstreamEndpoint, request } = job
    const { model, elsewhere, isStandIn } = request
    const asked = isStandIn ? undefined : model
    const candidates = context.upstreams.candidatesFor(
      upstreamProvider.name,
      asked,
      elsewhere?.names,
      upstreamEndpoint.upstream,
    )
    this.attempts = new Attempts(job, candidates)
    this.delivery = new Delivery(visit.response, context.stalledMs, () => this.#answer?.resume())
  }

  /** Sends the request to an upstream. Never throws: every failure ends in a settlement. */
  start(): void {
    const { visit, durable, request } = this.job
    this.#leave = this.context.relays.add(this)
    durable.then(
      () => this.#onDurable(),
      () => this.fail(createProblem('store_unavailable')),
    )
    // A listener, not a function assigned to the visit. Measured: with the assignment scavenges keep a third of all
    // garbage until the next full collection and take five times as long; why V8 does so was not found.
    visit.response.on('close', () => this.#onClientClose())
    const { keepAliveMs } = this.context
    if (keepAliveMs > 0 && request.isStream)
      this.#earlyTimer = setTimeout(() => this.#startEarly(keepAliveMs), keepAliveMs)
    if (isGone(visit)) this.#onClientClose()
    else if (this.attempts.hasNext) this.moveOn()
    else this.#failUnserved()
  }

  /**
   * Begins the client's stream after the upstream was silent for `keepAliveMs`, with comments until the upstream answers.
   */
  #startEarly(quietMs: number): void {
    if (this.#isConcluded || this.isClientGone || this.#answer?.passing?.isStarted) return
    if (!this.isOnDisk || this.#answer?.hasCome) {
      this.#earlyTimer?.refresh()
      return
    }
    const head = ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache']
    this.delivery.startEarly([...head, ...this.ownHeaders()], quietMs)
  }

  ownHeaders(): string[] {
    const { visit, decision } = this.job
    const list = ['x-request-id', visit.requestId, 'server-timing', timingOf(visit)]
    pushAll(list, visit.provider.limitHeaders(decision, this.context.clock()))
    const { outputWritten } = this.attempts
    if (outputWritten !== undefined) list.push('x-tollgate-output-cap', String(outputWritten))
    return list
  }

  #failUnserved(): void {
    const { visit, upstreamProvider, request, decision } = this.job
    const family = decision.quota?.family ?? 'its family'
    const { name: provider } = upstreamProvider
    const { upstreams, unserved } = this.context
    if (upstreams.candidatesFor(provider, request.model).length > 0) {
      const names = request.elsewhere?.names ?? []
      const isMissing = (name: string) =>
        upstreams.candidatesFor(provider, request.model, [name]).length === 0
      this.fail(createNotServed(names.find(isMissing) ?? names.join(', ')))
      return
    }
    unserved.note({ requestId: visit.requestId, provider, model: request.model, family })
    this.fail(createNotServed(request.model))
  }

  get mayMoveOn(): boolean {
    return this.attempts.hasNext && !this.isClientGone
  }

  moveOn(): void {
    this.#send((answer) => this.attempts.sendToNext(answer))
  }

  sendElsewhere(isStale: boolean): boolean {
    if (this.isClientGone) return false
    if (isStale && this.attempts.mayRepeat) this.#send((answer) => this.attempts.repeat(answer))
    else if (this.attempts.hasNext) this.moveOn()
    else return false
    return true
  }

  /** Each attempt has an answer of its own: nothing of a refused one remains. */
  #send(attempt: (answer: UpstreamAnswer) => void): void {
    this.#answer?.close()
    const answer = new UpstreamAnswer(this)
    this.#answer = answer
    try {
      attempt(answer)
    } catch (error) {
      answer.onFailure({ kind: 'fault', cause: error, mayHaveWorked: false, isStale: false })
    }
  }

  cut(problem: Problem): void {
    this.conclude({ kind: 'cut', problem })
  }

  #onDurable(): void {
    this.isOnDisk = true
    this.#answer?.onDurable()
  }

  #onClientClose(): void {
    this.delivery.close()
    if (this.#isConcluded) return
    this.isClientGone = true
    if (this.context.onDisconnect === 'drain' && this.#answer?.wasSent) {
      this.#drainTimer = setTimeout(() => this.conclude({ kind: 'gone' }), this.context.drainMs)
      this.#answer.resume()
    } else this.conclude({ kind: 'gone' })
  }

  countDrained(bytes: number): void {
    this.#drainedBytes += bytes
    if (this.#drainedBytes > this.context.drainBytesMax) this.conclude({ kind: 'gone' })
  }

  fail(problem: Problem, mayHaveCost = false): void {
    this.conclude({ kind: 'failed', problem, mayHaveCost })
  }

  settle(ending: Ending): Promise<unknown> {
    this.#settling ??= this.context.ledger.settle(this.#settlementFor(ending))
    return this.#settling
  }

  #settlementFor(ending: Ending) {
    const course = {
      ...(this.#answer?.course() ?? noCourse),
      upstream: this.attempts.upstream,
      isClientGone: this.isClientGone,
      hasStarted: this.delivery.hasStarted,
    }
    return settlementOf(this.job, course, ending, this.context)
  }

  /**
   * The one end of every relay: the entry is settled and the upstream stopped; the client's answer ends when the
   * settlement is durable, or `settleWaitMs` later.
   */
  conclude(ending: Ending): void {
    if (this.#isConcluded) return
    this.#isConcluded = true
    if ('problem' in ending) this.job.visit.code = ending.problem.code
    clearTimeout(this.#drainTimer)
    clearTimeout(this.#earlyTimer)
    const settling = this.settle(ending)
    this.attempts.exchange?.abort()
    this.#answer?.close()
    let isEnded = false
    const end = () => {
      if (isEnded) return
      isEnded = true
      clearTimeout(timer)
      try {
        this.#endAnswer(ending)
      } catch (error) {
        troubleLog(this)({ err: error })
        this.delivery.destroy()
      }
    }
    const timer = setTimeout(end, this.context.settleWaitMs)
    const settled = () => {
      end()
      this.#leave?.()
    }
    settling.then(settled, settled)
  }

  #endAnswer(ending: Ending): void {
    const { job, delivery } = this
    delivery.close()
    if (this.isClientGone || ending.kind === 'gone') return
    const passing = this.#answer?.passing
    if (ending.kind === 'complete') delivery.finish()
    else if (delivery.isEarly) delivery.finish(streamRefusal(job.visit, ending.problem))
    else if (!delivery.hasStarted) refuse(job.visit, ending.problem, job.decision, this.context.clock())
    else if (passing?.takesEvents && delivery.isBetweenEvents) {
      delivery.finish(streamRefusal(job.visit, ending.problem, passing.opening))
    } else delivery.destroy()
  }
}
