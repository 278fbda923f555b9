import { createProblem } from '#core/errors.ts'
import { type OperatorRefusal, operatorRefusalByStatus } from '#providers/operator-refusal.ts'
import type { Receiver, SendFailure } from '#upstreams/exchange.ts'
import type { AnswerHeaders } from '#upstreams/retry-after.ts'
import type { AnswerOwner } from './answer-owner.ts'
import { isUnreadable } from './answer-reader.ts'
import { noFigures } from './charge.ts'
import { problemOfError, problemOfFailure, redirected } from './failure.ts'
import { type HeldAnswer, HeldError } from './held-error.ts'
import { PassingAnswer } from './passing-answer.ts'
import type { RelayCourse } from './relay-settlement.ts'
import { failUndecoded, hideOf, problemOf, troubleLog } from './upstream-trouble.ts'

/** Statuses after which another upstream is tried, besides errors about the operator's account. */
const worthAnother: ReadonlySet<number> = new Set([429, 500, 502, 503, 529])

const isRedirect = (status: number) => status >= 300 && status < 400

/**
 * What one upstream answers to a request. A success passes on once the reservation is durable. An error is held until it
 * is complete: then it passes, or another upstream is tried, or the client is told in the gateway's own words.
 */
export class UpstreamAnswer implements Receiver {
  readonly #owner: AnswerOwner
  #held: HeldError | undefined
  #passing: PassingAnswer | undefined
  #startLater: (() => void) | undefined
  #status = 0
  #wasSent = false
  #isOver = false

  constructor(owner: AnswerOwner) {
    this.#owner = owner
  }

  /** Whether the request was handed to the upstream, so that it may cost something. */
  get wasSent(): boolean {
    return this.#wasSent
  }

  /** Whether its status and headers have come. */
  get hasCome(): boolean {
    return this.#held !== undefined || this.#passing !== undefined
  }

  /** The answer that is passed to the client, if it is. */
  get passing(): PassingAnswer | undefined {
    return this.#passing
  }

  /** What a settlement has to know of it. */
  course(): Pick<RelayCourse, 'figures' | 'isStream' | 'wasSent' | 'upstreamStatus' | 'firstByteAt'> {
    const passing = this.#passing
    return {
      figures: passing?.figures() ?? noFigures,
      isStream: passing?.isStream ?? false,
      wasSent: this.#wasSent,
      upstreamStatus: this.#status,
      firstByteAt: passing?.firstByteAt,
    }
  }

  onSent(): void {
    this.#wasSent = true
  }

  onStart(status: number, headers: AnswerHeaders): void {
    const owner = this.#owner
    this.#status = status
    if (status < 300) {
      if (isUnreadable(headers)) failUndecoded(owner, new Error('a stream of an unknown coding'))
      else this.#pass(headers)
      return
    }
    const refusal = operatorRefusalByStatus(status)
    const isTrouble = refusal !== undefined || isRedirect(status) || worthAnother.has(status)
    if (isTrouble && owner.mayMoveOn) {
      owner.attempts.exchange?.discard(this.#troubleOf(headers, refusal))
      owner.moveOn()
      return
    }
    if (isTrouble) troubleLog(owner)({ status, ...(refusal && { refusal }) })
    if (refusal) owner.fail(problemOf(refusal, headers, owner))
    else if (isRedirect(status)) owner.fail(redirected)
    else this.#held = new HeldError(status, headers, hideOf(owner))
  }

  /** Logs an answer that another upstream's replaces, when it has ended: often only its text says what is wrong. */
  #troubleOf(headers: AnswerHeaders, known: OperatorRefusal | undefined) {
    const log = troubleLog(this.#owner)
    const held = new HeldError(this.#status, headers, hideOf(this.#owner))
    return (body: Buffer) => {
      held.push(body)
      const refusal = known ?? held.read()?.refusal
      log({ status: held.status, ...(refusal && { refusal }) })
    }
  }

  /** Begins to pass the answer on, once the reservation is durable. */
  #pass(headers: AnswerHeaders): void {
    const passing = new PassingAnswer(this.#owner, this.#status, headers)
    this.#passing = passing
    this.#onceDurable(() => passing.start())
  }

  /** Pauses the upstream until the reservation is durable; no byte may reach the client before. */
  #onceDurable(start: () => void): void {
    if (this.#owner.isOnDisk) {
      start()
      return
    }
    this.#startLater = start
    this.#owner.attempts.exchange?.pause()
  }

  onDurable(): void {
    const start = this.#startLater
    this.#startLater = undefined
    if (!start || this.#isOver) return
    start()
    this.#owner.attempts.exchange?.resume()
  }

  onData(chunk: Buffer): void {
    if (this.#held) {
      if (!this.#held.push(chunk)) this.#failUnread(this.#held)
    } else this.#passing?.onData(chunk)
  }

  onEnd(): void {
    if (this.#held && !this.#isOver) this.#handleError(this.#held)
    else this.#passing?.onEnd()
  }

  onFailure(failure: SendFailure): void {
    if (this.#isOver) return
    const owner = this.#owner
    troubleLog(owner)({ failure: failure.kind, err: failure.cause })
    if (!failure.mayHaveWorked) {
      this.#wasSent = false
      if (failure.kind !== 'fault' && owner.sendElsewhere(failure.isStale)) return
    }
    const fail = () => owner.fail(problemOfFailure(failure), failure.mayHaveWorked)
    if (this.#passing) this.#passing.onceDecoded(fail)
    else fail()
  }

  /** Passes a complete error on, unless it is about the operator's account. */
  #handleError(held: HeldError): void {
    const reading = held.read()
    if (!reading) {
      this.#failUnread(held)
      return
    }
    const owner = this.#owner
    const { refusal, answer } = reading
    if (refusal) {
      troubleLog(owner)({ status: held.status, refusal })
      if (owner.mayMoveOn) owner.moveOn()
      else owner.fail(problemOf(refusal, answer.headers, owner))
    } else if (owner.delivery.isEarly) owner.fail(problemOfError(held.status, answer))
    else this.#onceDurable(() => this.#release(answer))
  }

  /** An error that cannot be read might hold the operator's names, so the client is told only its status. */
  #failUnread({ status }: HeldError): void {
    troubleLog(this.#owner)({ status, failure: 'an error that cannot be read' })
    this.#owner.fail(
      createProblem('upstream_failed', `The upstream answered ${status} with an error that cannot be read.`),
    )
  }

  /** Sends an error that was held. */
  #release({ headers, body }: HeldAnswer): void {
    this.#held = undefined
    this.#pass(headers)
    this.onData(body)
    this.onEnd()
  }

  resume(): void {
    this.#passing?.resume()
    this.#owner.attempts.exchange?.resume()
  }

  /** Ends it: whatever comes of it later is ignored. */
  close(): void {
    this.#isOver = true
    this.#passing?.close()
  }
}
