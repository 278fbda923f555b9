import { createProblem } from '#core/errors.ts'
import { withErrorsHidden } from '#providers/hidden.ts'
import { mayStray } from '#providers/models-elsewhere.ts'
import { type OperatorRefusal, operatorRefusalIn } from '#providers/operator-refusal.ts'
import { openingBytesMax } from '#providers/provider.ts'
import { answerHeaders, type HeaderList } from '#upstreams/header-lists.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'
import type { AnswerOwner } from './answer-owner.ts'
import { type AnswerReader, openAnswerReader } from './answer-reader.ts'
import { type Figures, isSuccess, noFigures } from './charge.ts'
import type { CodedAnswer } from './coded-answer.ts'
import { FirstWords } from './first-words.ts'
import { LastWords } from './last-words.ts'
import { failUndecoded, hideOf, problemOf, troubleLog } from './upstream-trouble.ts'

const nothing = Buffer.alloc(0)

const nothingPassed: HeaderList = { has: () => false }

/** The headers of an answer that is sent decoded. */
function withoutCoding(headers: AnswerHeaders): AnswerHeaders {
  const { 'content-encoding': _, 'content-length': __, ...others } = headers
  return others
}

/** An answer on its way from an upstream to the client. It is read in passing, for its figures and for errors in it. */
export class PassingAnswer {
  readonly #owner: AnswerOwner
  readonly #status: number
  /** Those that are sent on, by and large. */
  readonly #headers: AnswerHeaders
  readonly #reader: AnswerReader
  readonly #firstWords: FirstWords
  readonly #lastWords: LastWords
  #firstByteAt: number | undefined
  /** The first bytes, if the endpoint's clients expect fields of them in an error at the end. */
  #opening: Buffer = nothing
  #isStarted = false
  #isSettling = false
  #isOver = false

  constructor(owner: AnswerOwner, status: number, headers: AnswerHeaders) {
    const { job, context, delivery } = owner
    const { upstreamEndpoint, request } = job
    this.#owner = owner
    this.#status = status
    this.#reader = openAnswerReader(upstreamEndpoint, headers, {
      withholdsUsage: request.lacksUsage,
      answers: request.choices,
      namesModels: mayStray(request.elsewhere),
      isBegun: delivery.isEarly,
      hide: hideOf(owner),
    })
    this.#headers = this.#reader.coded?.isSentDecoded ? withoutCoding(headers) : headers
    this.#firstWords = new FirstWords(delivery)
    this.#lastWords = new LastWords(delivery, context.settleWaitMs)
  }

  get isStream(): boolean {
    return this.#reader.isStream
  }

  /** Whether the client can read an event that the gateway adds at the end. */
  get takesEvents(): boolean {
    return this.#reader.takesEvents
  }

  get isStarted(): boolean {
    return this.#isStarted
  }

  get firstByteAt(): number | undefined {
    return this.#firstByteAt
  }

  get opening(): Buffer {
    return this.#opening
  }

  /** Begins the client's answer. Where the client's stream was begun before, only another stream can follow. */
  start(): void {
    const { delivery, isClientGone } = this.#owner
    if (isClientGone) return
    if (delivery.isEarly && !this.#reader.takesEvents) {
      this.#owner.fail(
        createProblem('upstream_failed', 'The upstream answered with something else than a stream.'),
      )
      return
    }
    this.#startAs(this.#headers, this.#reader.isStream)
  }

  #startAs(headers: AnswerHeaders, isStream: boolean): void {
    const { job, delivery, attempts, context, mayMoveOn } = this.#owner
    // If a chunk is taken out again, the upstream's length is wrong and must not be sent.
    const { 'content-length': length, ...unframed } = headers
    const keepsLength = typeof length === 'string' && !(isStream && job.request.lacksUsage)
    const passed = attempts.upstream?.passed.answer ?? nothingPassed
    const list = answerHeaders(keepsLength ? headers : unframed, passed)
    for (const text of this.#owner.ownHeaders()) list.push(text)
    const isGood = isSuccess(this.#status)
    // With a known length the last bytes wait for the end anyway.
    if (isGood && (isStream || (!keepsLength && mayMoveOn))) this.#firstWords.await()
    this.#firstWords.watch(headers, !isStream && isGood)
    this.#isStarted = true
    delivery.start(this.#status, list, keepsLength ? Number(length) : -1, isStream)
    if (context.keepAliveMs > 0 && this.#reader.takesEvents) delivery.keepAlive(context.keepAliveMs)
  }

  onData(chunk: Buffer): void {
    if (this.#isOver) return
    this.#firstByteAt ??= performance.now()
    const { coded } = this.#reader
    if (coded) this.#decode(coded, chunk)
    else this.#take(chunk)
  }

  /** Takes one chunk of a compressed answer; the next one waits until this one is read. */
  #decode(coded: CodedAnswer, chunk: Buffer): void {
    const { attempts, delivery } = this.#owner
    attempts.exchange?.pause()
    coded.push(
      chunk,
      (piece) => {
        if (!this.#isOver) this.#take(piece)
      },
      () => {
        if (this.#isOver || this.#failUndecoded()) return
        if (this.#owner.isClientGone || delivery.write(coded.release())) attempts.exchange?.resume()
      },
    )
  }

  /** Ends a compressed answer that cannot be sent on; false if it can. */
  #failUndecoded(): boolean {
    const cause = this.#reader.coded?.failure()
    if (!cause || this.#isOver) return false
    failUndecoded(this.#owner, cause)
    return true
  }

  /** Reads the next bytes, and sends on what of them may pass. */
  #take(chunk: Buffer): void {
    const owner = this.#owner
    const reader = this.#reader
    const firstWords = this.#firstWords
    const passing = reader.push(chunk)
    if (firstWords.areAwaited && reader.isStream && this.#replace()) return
    const refusal = reader.refusal()
    if (refusal) {
      this.#endByRefusal(refusal, passing)
      return
    }
    if (reader.coded && this.#failUndecoded()) return
    if (firstWords.areAwaited && reader.hasBegun()) firstWords.end(passing.length > 0)
    firstWords.take(chunk, reader)
    if (!reader.isComplete()) this.#lastWords.wereNot()
    else if (!this.#isSettling) this.#lastWords.mayBe(reader, () => this.#settle())
    if (owner.job.endpoint.problems && this.#opening.length < openingBytesMax) this.#keepOpening(passing)
    if (owner.isClientGone) owner.countDrained(chunk.length)
    else if (!owner.delivery.write(passing)) {
      owner.attempts.exchange?.pause()
      reader.coded?.pause()
    }
  }

  #settle(): Promise<unknown> {
    this.#isSettling = true
    return this.#owner.settle({ kind: 'complete' })
  }

  #keepOpening(chunk: Buffer): void {
    const rest = chunk.subarray(0, openingBytesMax - this.#opening.length)
    this.#opening = Buffer.concat([this.#opening, rest])
  }

  onEnd(): void {
    if (!this.#isOver) this.onceDecoded(() => this.#finish())
  }

  /** Continues when all that came of a compressed answer is read, unless it is over by then. */
  onceDecoded(then: () => void): void {
    const { coded } = this.#reader
    if (!coded) then()
    else
      coded.end(() => {
        if (!this.#isOver) then()
      })
  }

  #finish(): void {
    const reader = this.#reader
    const { coded } = reader
    if (this.#failUndecoded()) return
    const rest = reader.end()
    if (!this.#owner.isClientGone)
      this.#owner.delivery.write(coded && !coded.isSentDecoded ? coded.release() : rest)
    if (this.#replace()) return
    const refusal = reader.refusal()
    if (refusal && !this.#isOver) this.#endByRefusal(refusal, nothing)
    else if (!this.#failUndecoded() && !this.#handleWholeError()) this.#owner.conclude({ kind: 'complete' })
  }

  /** Replaces an answer that is an error in spite of its status by another upstream's, if no byte of it was sent. */
  #replace(): boolean {
    const owner = this.#owner
    if (this.#isOver || owner.delivery.hasStarted || !owner.mayMoveOn) return false
    if (!isSuccess(this.#status) || !this.#reader.isError()) return false
    troubleLog(owner)({ status: this.#status, failure: 'an error in an answer' })
    owner.attempts.exchange?.abort()
    this.close()
    owner.delivery.reset()
    owner.moveOn()
    return true
  }

  /** Ends an answer that holds an error about the operator's account; the bytes before it have passed. */
  #endByRefusal(refusal: OperatorRefusal, passing: Buffer): void {
    const owner = this.#owner
    troubleLog(owner)({ status: this.#status, refusal })
    if (!owner.isClientGone) owner.delivery.write(passing)
    owner.fail(problemOf(refusal, this.#headers, owner))
  }

  /** Handles an answer that is an error in spite of its status; true if it was ended here. */
  #handleWholeError(): boolean {
    const owner = this.#owner
    if (this.#isOver || !isSuccess(this.#status) || !this.#isStarted) return false
    const error = this.figures().isError ? this.#reader.wholeError() : undefined
    if (!error) {
      this.#hideBeside()
      return false
    }
    const text = error.toString()
    const refusal = operatorRefusalIn(text)
    if (refusal) {
      this.#endByRefusal(refusal, nothing)
      return true
    }
    const shown = hideOf(owner)(text)
    if (shown === text) return false
    if (owner.delivery.hasStarted) {
      owner.fail(createProblem('upstream_failed'))
      return true
    }
    this.#sendInstead(Buffer.from(shown))
    return false
  }

  /** Takes the operator's words out of an error that stands beside an answer's usage or text. */
  #hideBeside(): void {
    const whole = this.#owner.delivery.hasStarted ? undefined : this.#reader.shortBody()
    const shown = whole && withErrorsHidden(whole, hideOf(this.#owner))
    if (shown) this.#sendInstead(shown)
  }

  /** Sends another body in place of the answer's, of which no byte was sent. */
  #sendInstead(body: Buffer): void {
    const { delivery, isClientGone } = this.#owner
    if (isClientGone) return
    delivery.reset()
    this.#startAs({ ...withoutCoding(this.#headers), 'content-length': String(body.length) }, false)
    delivery.write(body)
  }

  /** An answer that cannot be read must not keep its relay from being settled. */
  figures(): Figures {
    try {
      return this.#reader.figures()
    } catch (error) {
      const { context, job } = this.#owner
      context.log.error({ requestId: job.visit.requestId, err: error }, 'an answer could not be read')
      return noFigures
    }
  }

  resume(): void {
    this.#reader.coded?.resume()
  }

  /** Ends the reading; nothing more of it passes. */
  close(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#lastWords.close()
    this.#firstWords.close()
    this.#reader.close()
  }
}
