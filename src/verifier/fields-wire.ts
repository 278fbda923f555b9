import { z } from 'zod'
import { type Family, familyOf } from '#core/family.ts'
import { instantMessage, readInstant } from '#core/instant.ts'
import { parseAddress } from '#core/network.ts'
import { type Parsed, parseBy, type Schema } from '#core/parsed.ts'
import { unitsMax } from '#core/units.ts'
import type { Usage } from '#core/usage.ts'
import { isUserId } from '#core/user-id.ts'
import { holdsControl } from '#lib/control-characters.ts'

/**
 * The fields that several of the verifier's bodies share. Unknown members are ignored, except among the figures of a
 * usage: a figure with another system's name would be counted as zero.
 */

export function unitsField() {
  return wholeField(0, unitsMax)
}

/** A whole number within bounds, with one message for every fault. */
export function wholeField(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error, abort: true }).min(min, error).max(max, error)
}

/** Epoch milliseconds, or a text with its offset. */
export function instantField() {
  return z.union([z.number(), z.string()], { error: instantMessage }).transform(toInstant)
}

/** As text only, which CloudEvents prescribes (RFC 3339). */
export function instantTextField() {
  return z.string({ error: instantMessage }).transform(toInstant)
}

function toInstant(value: number | string, context: z.RefinementCtx): number {
  const reading = readInstant(value)
  if (reading.kind === 'read') return reading.value
  context.addIssue({ code: 'custom', message: reading.message })
  return z.NEVER
}

/** A text of one line. */
export function lineField(max: number) {
  return z
    .string()
    .min(1)
    .max(max)
    .refine((text) => text.isWellFormed() && !holdsControl(text), 'must not hold control characters')
}

export function addressField() {
  return z
    .string()
    .max(64)
    .refine((text) => parseAddress(text) !== undefined, 'must be an IPv4 or IPv6 address')
    .transform((text) => parseAddress(text) ?? text)
}

/** HTTP status; 0 where the client hung up before one was sent. */
export function statusField() {
  return wholeField(0, 599)
}

/** The user: the access token that was presented, or an id that the caller knows already. */
export const holderFields = {
  token: z.string().min(1).max(512).optional(),
  userId: z.string().max(64).refine(isUserId, "must be a user's id, such as usr_…").optional(),
}

interface HolderInput {
  readonly token?: string | undefined
  readonly userId?: string | undefined
}

export type Holder = { readonly accessToken: string } | { readonly userId: string }

/** Expects a value that passed `checkHolder`. */
export function toHolder({ token, userId }: HolderInput): Holder {
  return userId === undefined ? { accessToken: token ?? '' } : { userId }
}

export function holderFault({ token, userId }: HolderInput): string | undefined {
  if (token === undefined && userId === undefined) return 'is required, or userId'
  if (token !== undefined && userId !== undefined) return 'says the same as userId: send one of them'
  return undefined
}

/** A model, a family, or both; a given family overrides the model's own. */
export function modelFields(families: readonly Family[]) {
  const names = families.map(({ name }) => name)
  const fault = `is not a known family; known are ${names.join(', ')}`
  return {
    model: lineField(256).optional(),
    family: z
      .string()
      .refine((name) => names.includes(name), fault)
      .optional(),
  }
}

export interface ModelInput {
  readonly model?: string | undefined
  readonly family?: string | undefined
}

export function toFamily({ model, family }: ModelInput, families: readonly Family[]): string | undefined {
  return family ?? (model === undefined ? undefined : familyOf(model, families))
}

const figures = {
  input: unitsField().optional(),
  cacheRead: unitsField().optional(),
  cacheWritten: unitsField().optional(),
  output: unitsField().optional(),
  reasoning: unitsField().optional(),
}

/** The usage: separate figures, or their sum in `units`, which counts as input. */
export const usageFields = {
  usage: z
    .strictObject(figures)
    .refine((usage) => Object.keys(usage).length > 0, `needs one of ${Object.keys(figures).join(', ')}`)
    .optional(),
  units: unitsField().optional(),
}

interface UsageInput {
  readonly usage?: { readonly [Figure in keyof Usage]?: number | undefined } | undefined
  readonly units?: number | undefined
}

export function usageFault({ usage, units }: UsageInput): string | undefined {
  if (usage === undefined && units === undefined) return 'is required, or units'
  if (usage !== undefined && units !== undefined) return 'says the same as units: send one of them'
  return undefined
}

export function toUsage({ usage = {}, units = 0 }: UsageInput): Usage {
  const { input = units, cacheRead = 0, cacheWritten = 0, output = 0, reasoning = 0 } = usage
  return { input, cacheRead, cacheWritten, output, reasoning }
}

/** Adds to a schema a check over two fields; `place` is the path of the wrong one. */
export function mustBe<T>(path: readonly string[], fault: (value: T) => string | undefined) {
  return (value: T, context: z.RefinementCtx<T>): void => {
    const message = fault(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message, path: [...path] })
  }
}

/** A value checked by a schema, or its issues, at paths such as `[3].usage.input`. */
export function parse<T>(schema: Schema<T>, value: unknown): Parsed<T> {
  return parseBy(schema, value, `is not a known figure; known are ${Object.keys(figures).join(', ')}`)
}
