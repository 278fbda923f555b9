import { createNotServed, createProblem, type Problem } from '#core/errors.ts'
import type { Settlement } from '#core/settlement.ts'
import { type Hide, withErrorsHidden } from '#providers/hidden.ts'
import { mayStray } from '#providers/models-elsewhere.ts'
import {
  type OperatorRefusal,
  operatorRefusalByStatus,
  operatorRefusalIn,
  withoutOperatorNames,
} from '#providers/operator-refusal.ts'
import { openingBytesMax } from '#providers/provider.ts'
import type { Receiver, SendFailure } from '#upstreams/exchange.ts'
import { answerHeaders, type HeaderList } from '#upstreams/header-lists.ts'
import { type AnswerHeaders, retryAfterMs } from '#upstreams/retry-after.ts'
import type { AdmittedRequest } from './admitted.ts'
import { type AnswerReader, isUnreadable, openAnswerReader } from './answer-reader.ts'
import { Attempts } from './attempts.ts'
import { type Figures, isSuccess, noFigures } from './charge.ts'
import type { CodedAnswer } from './coded-answer.ts'
import { Delivery } from './delivery.ts'
import { problemOfError, problemOfFailure, problemOfRefusal, redirected } from './failure.ts'
import { FirstWords } from './first-words.ts'
import { type HeldAnswer, HeldError } from './held-error.ts'
import { LastWords } from './last-words.ts'
import { pushAll, refuse, streamRefusal } from './refusal.ts'
import type { Ending, RelayContext } from './relay-context.ts'
import { settlementOf } from './relay-settlement.ts'
import type { Block } from './relays.ts'
import { isGone, timingOf } from './visit.ts'

const nothing = Buffer.alloc(0)

/** Statuses after which another upstream is tried, besides errors about the operator's account. */
const worthAnother: ReadonlySet<number> = new Set([429, 500, 502, 503, 529])

const nothingPassed: HeaderList = { has: () => false }

/** The headers of an answer that is sent decoded. */
function withoutCoding(headers: AnswerHeaders): AnswerHeaders {
  const { 'content-encoding': _, 'content-length': __, ...others } = headers
  return others
}

const isRedirect = (status: number) => status >= 300 && status < 400

/**
 * One request from its admission to its settlement. It tries one upstream after the other until one answers, and passes
 * that answer through. Whatever happens, it ends once, in `#conclude`: by the answer's end, a failure, a client that
 * hangs up, or a cut.
 */
export class Relay implements Receiver {
  readonly userId: string
  block: Block | undefined
  readonly #context: RelayContext
  readonly #job: AdmittedRequest
  readonly #delivery: Delivery
  readonly #attempts: Attempts
  readonly #firstWords: FirstWords
  readonly #lastWords: LastWords
  #reader: AnswerReader | undefined
  #held: HeldError | undefined
  #wasSent = false
  /** The upstream failed while it may have been at work. */
  #mayHaveCost = false
  #upstreamStatus = 0
  #firstByteAt: number | undefined
  /** The answer's first bytes, if its endpoint's clients expect fields of them in an error at its end. */
  #opening: Buffer = nothing
  #settling: Promise<unknown> | undefined
  #earlyTimer: NodeJS.Timeout | undefined
  #answer: { readonly status: number; readonly headers: AnswerHeaders } | undefined
  #drainTimer: NodeJS.Timeout | undefined
  #drainedBytes = 0
  #isClientGone = false
  #isOnDisk = false
  #leave: (() => void) | undefined
  #startLater: (() => void) | undefined
  #isConcluded = false

  constructor(job: AdmittedRequest, context: RelayContext) {
    this.userId = job.userId
    this.block = job.block
    this.#job = job
    this.#context = context
    const { visit, upstreamProvider, upstreamEndpoint, request } = job
    const { model, elsewhere, isStandIn } = request
    const asked = isStandIn ? undefined : model
    const candidates = context.upstreams.candidatesFor(
      upstreamProvider.name,
      asked,
      elsewhere?.names,
      upstreamEndpoint.upstream,
    )
    this.#attempts = new Attempts(job, candidates)
    this.#delivery = new Delivery(visit.response, context.stalledMs, () => this.#resume())
    this.#firstWords = new FirstWords(this.#delivery)
    this.#lastWords = new LastWords(this.#delivery, context.settleWaitMs)
  }

  /** Sends the request to an upstream. Never throws: every failure ends in a settlement. */
  start(): void {
    const { visit } = this.#job
    this.#leave = this.#context.relays.add(this)
    this.#job.durable.then(
      () => this.#onDurable(),
      () => this.#fail(createProblem('store_unavailable')),
    )
    // A listener, not a function assigned to the visit. Measured: with the assignment scavenges keep a third of all
    // garbage until the next full collection and take five times as long; why V8 does so was not found.
    visit.response.on('close', () => this.#onClientClose())
    const { keepAliveMs } = this.#context
    if (keepAliveMs > 0 && this.#job.request.isStream)
      this.#earlyTimer = setTimeout(() => this.#startEarly(keepAliveMs), keepAliveMs)
    try {
      if (isGone(visit)) this.#onClientClose()
      else if (this.#attempts.hasNext) this.#attempts.sendToNext(this)
      else this.#failUnserved()
    } catch (error) {
      this.onFailure({ kind: 'fault', cause: error, mayHaveWorked: false, isStale: false })
    }
  }

  /**
   * Begins the client's stream after the upstream was silent for `keepAliveMs`, with comments until the upstream answers.
   */
  #startEarly(quietMs: number): void {
    if (this.#isConcluded || this.#isClientGone || this.#answer) return
    if (!this.#isOnDisk || this.#held || this.#reader) {
      this.#earlyTimer?.refresh()
      return
    }
    const head = ['content-type', 'text/event-stream; charset=utf-8', 'cache-control', 'no-cache']
    this.#delivery.startEarly([...head, ...this.#ownHeaders()], quietMs)
  }

  /** The headers that every answer has. */
  #ownHeaders(): string[] {
    const { visit, decision } = this.#job
    const list = ['x-request-id', visit.requestId, 'server-timing', timingOf(visit)]
    pushAll(list, visit.provider.limitHeaders(decision, this.#context.clock()))
    const { outputWritten } = this.#attempts
    if (outputWritten !== undefined) list.push('x-tollgate-output-cap', String(outputWritten))
    return list
  }

  #failUnserved(): void {
    const { visit, upstreamProvider, request, decision } = this.#job
    const family = decision.quota?.family ?? 'its family'
    const { name: provider } = upstreamProvider
    const { upstreams, unserved } = this.#context
    if (upstreams.candidatesFor(provider, request.model).length > 0) {
      const names = request.elsewhere?.names ?? []
      const isMissing = (name: string) =>
        upstreams.candidatesFor(provider, request.model, [name]).length === 0
      this.#fail(createNotServed(names.find(isMissing) ?? names.join(', ')))
      return
    }
    unserved.note({ requestId: visit.requestId, provider, model: request.model, family })
    this.#fail(createNotServed(request.model))
  }

  cut(problem: Problem): void {
    this.#conclude({ kind: 'cut', problem })
  }

  onSent(): void {
    this.#wasSent = true
  }

  onStart(status: number, headers: AnswerHeaders): void {
    this.#upstreamStatus = status
    if (status < 300) {
      if (isUnreadable(headers)) this.#failUndecoded(new Error('a stream of an unknown coding'))
      else this.#open(status, headers)
      return
    }
    const refusal = operatorRefusalByStatus(status)
    const isTrouble = refusal !== undefined || isRedirect(status) || worthAnother.has(status)
    if (isTrouble && this.#moveOn(this.#troubleOf(status, headers, refusal))) return
    if (isTrouble) this.#logTrouble({ status, ...(refusal && { refusal }) })
    if (refusal) this.#fail(problemOfRefusal(refusal, this.#retryAt(headers)))
    else if (isRedirect(status)) this.#fail(redirected)
    else this.#held = new HeldError(status, headers, this.#hide)
  }

  /** Begins to pass the answer on, once the reservation is durable. */
  #open(status: number, headers: AnswerHeaders): void {
    const { upstreamEndpoint, request } = this.#job
    const namesModels = mayStray(request.elsewhere)
    const reader = openAnswerReader(upstreamEndpoint, headers, {
      withholdsUsage: request.lacksUsage,
      answers: request.choices,
      namesModels,
      isBegun: this.#delivery.isEarly,
      hide: this.#hide,
    })
    this.#reader = reader
    const { isStream } = reader
    const shown = reader.coded?.isSentDecoded ? withoutCoding(headers) : headers
    if (this.#isOnDisk) {
      this.#startAnswer(status, shown, isStream)
      return
    }
    // Pause the upstream until the reservation is durable; no byte may reach the client before.
    this.#startLater = () => this.#startAnswer(status, shown, isStream)
    this.#attempts.exchange?.pause()
  }

  /** Logs an answer that another upstream's replaces, when it has ended: often only its text says what is wrong. */
  #troubleOf(status: number, headers: AnswerHeaders, known: OperatorRefusal | undefined) {
    const log = this.#troubleLog()
    const hide = this.#hide
    return (body: Buffer) => {
      const held = new HeldError(status, headers, hide)
      held.push(body)
      const refusal = known ?? held.read()?.refusal
      log({ status, ...(refusal && { refusal }) })
    }
  }

  /**
   * Sends a request that this upstream refused to the next one; false if no other upstream may be tried.
   *
   * @param onOver called with the rest of the refused answer
   */
  #moveOn(onOver?: (body: Buffer) => void): boolean {
    if (!this.#mayGoOn()) return false
    this.#attempts.exchange?.discard(onOver)
    this.#held = undefined
    this.#wasSent = false
    this.#upstreamStatus = 0
    this.#attempts.sendToNext(this)
    return true
  }

  /** Passes a complete error on, unless it is about the operator's account. */
  #handleError(held: HeldError): void {
    const reading = held.read()
    if (!reading) {
      this.#failUnread(held)
      return
    }
    const { refusal, answer } = reading
    if (refusal) {
      this.#logTrouble({ status: held.status, refusal })
      if (!this.#moveOn()) this.#fail(problemOfRefusal(refusal, this.#retryAt(answer.headers)))
      return
    }
    if (this.#delivery.isEarly) this.#fail(problemOfError(held.status, answer))
    else this.#release(held.status, answer, () => this.onEnd())
  }

  /** An error that cannot be read might hold the operator's names, so the client is told only its status. */
  #failUnread({ status }: HeldError): void {
    this.#logTrouble({ status, failure: 'an error that cannot be read' })
    this.#fail(
      createProblem('upstream_failed', `The upstream answered ${status} with an error that cannot be read.`),
    )
  }

  /** Sends an error that was held, once the reservation is durable. */
  #release(status: number, { headers, body }: HeldAnswer, then: () => void): void {
    this.#held = undefined
    const letGo = () => {
      this.#open(status, headers)
      this.onData(body)
      then()
    }
    if (this.#isOnDisk) letGo()
    else {
      this.#startLater = letGo
      this.#attempts.exchange?.pause()
    }
  }

  #retryAt(headers: AnswerHeaders): number | undefined {
    const now = this.#context.clock()
    const afterMs = retryAfterMs(headers, now)
    return afterMs === undefined ? undefined : now + afterMs
  }

  #onDurable(): void {
    this.#isOnDisk = true
    const start = this.#startLater
    this.#startLater = undefined
    if (!start || this.#isConcluded) return
    start()
    this.#attempts.exchange?.resume()
  }

  onData(chunk: Buffer): void {
    if (this.#held) {
      if (!this.#held.push(chunk)) this.#failUnread(this.#held)
      return
    }
    const reader = this.#reader
    if (!reader || this.#isConcluded) return
    this.#firstByteAt ??= performance.now()
    if (reader.coded) this.#decode(reader, reader.coded, chunk)
    else this.#take(reader, chunk)
  }

  /** Takes one chunk of a compressed answer; the next one waits until this one is read. */
  #decode(reader: AnswerReader, coded: CodedAnswer, chunk: Buffer): void {
    const isOver = () => this.#isConcluded || this.#reader !== reader
    this.#attempts.exchange?.pause()
    coded.push(
      chunk,
      (piece) => {
        if (!isOver()) this.#take(reader, piece)
      },
      () => {
        if (isOver() || this.#failUndecoded(coded.failure())) return
        if (this.#isClientGone || this.#delivery.write(coded.release())) this.#attempts.exchange?.resume()
      },
    )
  }

  /** Ends a compressed answer that cannot be sent on for this cause; false if there is no cause. */
  #failUndecoded(cause: Error | undefined): boolean {
    if (!cause || this.#isConcluded) return false
    this.#logTrouble({ failure: 'a compressed answer', err: cause })
    this.#mayHaveCost = true
    this.#fail(
      createProblem('upstream_failed', "The upstream's answer is compressed and cannot be passed on."),
    )
    return true
  }

  #resume(): void {
    this.#reader?.coded?.resume()
    this.#attempts.exchange?.resume()
  }

  /** Reads the next bytes of an answer, and sends on what of them may pass. */
  #take(reader: AnswerReader, chunk: Buffer): void {
    const passing = reader.push(chunk)
    if (this.#firstWords.areAwaited && reader.isStream && this.#replace(reader)) return
    const refusal = reader.refusal()
    if (refusal) {
      this.#endByRefusal(refusal, passing)
      return
    }
    if (reader.coded && this.#failUndecoded(reader.coded.failure())) return
    if (this.#firstWords.areAwaited && reader.hasBegun()) this.#firstWords.end(passing.length > 0)
    this.#firstWords.take(chunk, reader)
    if (!reader.isComplete()) this.#lastWords.wereNot()
    else if (!this.#settling) this.#lastWords.mayBe(reader, () => this.#settle({ kind: 'complete' }))
    if (this.#job.endpoint.problems && this.#opening.length < openingBytesMax) this.#keepOpening(passing)
    if (this.#isClientGone) this.#countDrained(chunk.length)
    else if (!this.#delivery.write(passing)) {
      this.#attempts.exchange?.pause()
      reader.coded?.pause()
    }
  }

  /** Ends an answer that holds an error about the operator's account; the bytes before it have passed. */
  #endByRefusal(refusal: OperatorRefusal, passing: Buffer): void {
    this.#logTrouble({ status: this.#upstreamStatus, refusal })
    if (!this.#isClientGone) this.#delivery.write(passing)
    this.#fail(problemOfRefusal(refusal, this.#retryAt(this.#answer?.headers ?? {})))
  }

  /** Handles an answer that is an error in spite of its status; true if it was ended here. */
  #handleWholeError(reader: AnswerReader): boolean {
    if (this.#isConcluded || !isSuccess(this.#upstreamStatus) || !this.#answer) return false
    const error = this.#figures().isError ? reader.wholeError() : undefined
    if (!error) {
      this.#hideBeside(reader)
      return false
    }
    const text = error.toString()
    const refusal = operatorRefusalIn(text)
    if (refusal) {
      this.#endByRefusal(refusal, nothing)
      return true
    }
    const shown = this.#hide(text)
    if (shown === text) return false
    if (this.#delivery.hasStarted) {
      this.#fail(createProblem('upstream_failed'))
      return true
    }
    this.#sendInstead(Buffer.from(shown))
    return false
  }

  /** Takes the operator's words out of an error that stands beside an answer's usage or text. */
  #hideBeside(reader: AnswerReader): void {
    const whole = this.#delivery.hasStarted ? undefined : reader.shortBody()
    const shown = whole && withErrorsHidden(whole, this.#hide)
    if (shown) this.#sendInstead(shown)
  }

  /** Sends another body in place of the answer's, of which no byte was sent. */
  #sendInstead(body: Buffer): void {
    if (!this.#answer) return
    const { status, headers } = this.#answer
    this.#delivery.reset()
    this.#startAnswer(status, { ...withoutCoding(headers), 'content-length': String(body.length) }, false)
    if (!this.#isClientGone) this.#delivery.write(body)
  }

  /** Takes what an error says of the operator out of it. */
  get #hide(): Hide {
    return this.#attempts.upstream?.hide ?? withoutOperatorNames
  }

  /** Replaces an answer that is an error in spite of its status by another upstream's, if no byte of it was sent. */
  #replace(reader: AnswerReader): boolean {
    if (this.#isConcluded || this.#delivery.hasStarted || !this.#mayGoOn()) return false
    if (!isSuccess(this.#upstreamStatus) || !reader.isError()) return false
    this.#logTrouble({ status: this.#upstreamStatus, failure: 'an error in an answer' })
    this.#firstWords.close()
    this.#attempts.exchange?.abort()
    reader.close()
    this.#reader = undefined
    this.#wasSent = false
    this.#upstreamStatus = 0
    this.#firstByteAt = undefined
    this.#opening = nothing
    this.#delivery.reset()
    try {
      this.#attempts.sendToNext(this)
    } catch (error) {
      this.onFailure({ kind: 'fault', cause: error, mayHaveWorked: false, isStale: false })
    }
    return true
  }

  #keepOpening(chunk: Buffer): void {
    const rest = chunk.subarray(0, openingBytesMax - this.#opening.length)
    this.#opening = Buffer.concat([this.#opening, rest])
  }

  #settle(ending: Ending): Promise<unknown> {
    this.#settling ??= this.#context.meter.settle(this.#settlementFor(ending))
    return this.#settling
  }

  onEnd(): void {
    if (this.#held && !this.#isConcluded) {
      this.#handleError(this.#held)
      return
    }
    const reader = this.#reader
    if (!reader || this.#isConcluded) return
    if (reader.coded) this.#onceDecoded(reader.coded, () => this.#finish(reader))
    else this.#finish(reader)
  }

  /** Continues when all that came of a compressed answer is read, unless the relay is over by then. */
  #onceDecoded(coded: CodedAnswer, then: () => void): void {
    coded.end(() => {
      if (!this.#isConcluded && this.#reader?.coded === coded) then()
    })
  }

  #finish(reader: AnswerReader): void {
    const { coded } = reader
    if (this.#failUndecoded(coded?.failure())) return
    const rest = reader.end()
    if (!this.#isClientGone) this.#delivery.write(coded && !coded.isSentDecoded ? coded.release() : rest)
    if (this.#replace(reader)) return
    const refusal = reader.refusal()
    if (refusal && !this.#isConcluded) this.#endByRefusal(refusal, nothing)
    else if (!this.#failUndecoded(coded?.failure()) && !this.#handleWholeError(reader))
      this.#conclude({ kind: 'complete' })
  }

  onFailure(failure: SendFailure): void {
    if (this.#isConcluded) return
    this.#logTrouble({ failure: failure.kind, err: failure.cause })
    if (failure.mayHaveWorked) this.#mayHaveCost = true
    else {
      this.#wasSent = false
      if (failure.kind !== 'fault' && this.#sendElsewhere(failure.isStale)) return
    }
    const fail = () => this.#fail(problemOfFailure(failure))
    const coded = this.#reader?.coded
    if (coded) this.#onceDecoded(coded, fail)
    else fail()
  }

  #startAnswer(status: number, headers: AnswerHeaders, isStream: boolean): void {
    if (this.#isClientGone) return
    if (this.#delivery.isEarly && !this.#reader?.takesEvents) {
      this.#fail(createProblem('upstream_failed', 'The upstream answered with something else than a stream.'))
      return
    }
    const { request } = this.#job
    // If a chunk is taken out again, the upstream's length is wrong and must not be sent.
    const { 'content-length': length, ...unframed } = headers
    const keepsLength = typeof length === 'string' && !(isStream && request.lacksUsage)
    const passed = this.#attempts.upstream?.passed.answer ?? nothingPassed
    const list = answerHeaders(keepsLength ? headers : unframed, passed)
    for (const text of this.#ownHeaders()) list.push(text)
    // With a known length the last bytes wait for the end anyway.
    if (isSuccess(status) && (isStream || (!keepsLength && this.#mayGoOn()))) this.#firstWords.await()
    this.#firstWords.watch(headers, !isStream && isSuccess(status))
    this.#answer = { status, headers }
    this.#delivery.start(status, list, keepsLength ? Number(length) : -1, isStream)
    if (this.#context.keepAliveMs > 0 && this.#reader?.takesEvents)
      this.#delivery.keepAlive(this.#context.keepAliveMs)
  }

  /** Retries a request that no upstream has taken; false if no upstream is left for it. */
  #sendElsewhere(isStale: boolean): boolean {
    if (this.#isClientGone) return false
    if (isStale && this.#attempts.sendAgain(this)) return true
    if (!this.#attempts.hasNext) return false
    this.#attempts.sendToNext(this)
    return true
  }

  /** Whether another upstream may be tried: one is left, and the client is still connected. */
  #mayGoOn(): boolean {
    return this.#attempts.hasNext && !this.#isClientGone
  }

  #onClientClose(): void {
    this.#delivery.close()
    if (this.#isConcluded) return
    this.#isClientGone = true
    if (this.#context.onDisconnect === 'drain' && this.#wasSent) {
      this.#drainTimer = setTimeout(() => this.#conclude({ kind: 'gone' }), this.#context.drainMs)
      this.#resume()
    } else this.#conclude({ kind: 'gone' })
  }

  #countDrained(bytes: number): void {
    this.#drainedBytes += bytes
    if (this.#drainedBytes > this.#context.drainBytesMax) this.#conclude({ kind: 'gone' })
  }

  #fail(problem: Problem): void {
    this.#conclude({ kind: 'failed', problem })
  }

  /**
   * The one end of every relay: the entry is settled and the upstream stopped; the client's answer ends when the
   * settlement is durable, or `settleWaitMs` later.
   */
  #conclude(ending: Ending): void {
    if (this.#isConcluded) return
    this.#isConcluded = true
    if ('problem' in ending) this.#job.visit.code = ending.problem.code
    clearTimeout(this.#drainTimer)
    this.#lastWords.close()
    this.#firstWords.close()
    clearTimeout(this.#earlyTimer)
    const settling = this.#settle(ending)
    this.#attempts.exchange?.abort()
    this.#reader?.close()
    let isEnded = false
    const end = () => {
      if (isEnded) return
      isEnded = true
      clearTimeout(timer)
      try {
        this.#endAnswer(ending)
      } catch (error) {
        this.#logTrouble({ err: error })
        this.#delivery.destroy()
      }
    }
    const timer = setTimeout(end, this.#context.settleWaitMs)
    const settled = () => {
      end()
      this.#leave?.()
    }
    settling.then(settled, settled)
  }

  #settlementFor(ending: Ending): Settlement {
    const course = {
      figures: this.#figures(),
      isStream: this.#reader?.isStream ?? false,
      wasSent: this.#wasSent,
      mayHaveCost: this.#mayHaveCost,
      upstreamStatus: this.#upstreamStatus,
      upstream: this.#attempts.upstream,
      firstByteAt: this.#firstByteAt,
      isClientGone: this.#isClientGone,
      hasStarted: this.#delivery.hasStarted,
    }
    return settlementOf(this.#job, course, ending, this.#context)
  }

  /** An answer that cannot be read must not keep its relay from being settled. */
  #figures(): Figures {
    try {
      return this.#reader?.figures() ?? noFigures
    } catch (error) {
      this.#context.log.error(
        { requestId: this.#job.visit.requestId, err: error },
        'an answer could not be read',
      )
      return noFigures
    }
  }

  #endAnswer(ending: Ending): void {
    const { visit, decision } = this.#job
    const delivery = this.#delivery
    delivery.close()
    if (this.#isClientGone || ending.kind === 'gone') return
    if (ending.kind === 'complete') delivery.finish()
    else if (delivery.isEarly) delivery.finish(streamRefusal(visit, ending.problem, nothing))
    else if (!delivery.hasStarted) refuse(visit, ending.problem, decision, this.#context.clock())
    else if (this.#reader?.takesEvents && delivery.isBetweenEvents) {
      delivery.finish(streamRefusal(visit, ending.problem, this.#opening))
    } else delivery.destroy()
  }

  #logTrouble(details: Readonly<Record<string, unknown>>): void {
    this.#troubleLog()(details)
  }

  /** A log of trouble with the present upstream, also for lines that are written after the next upstream was tried. */
  #troubleLog(): (details: Readonly<Record<string, unknown>>) => void {
    const about = { requestId: this.#job.visit.requestId, upstream: this.#attempts.upstream?.name }
    return (details) => this.#context.log.warn({ ...about, ...details }, 'upstream trouble')
  }
}
