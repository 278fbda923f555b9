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
 * The fields that several of the verifier's bodies share. Unknown members are ignored everywhere but among the
 * figures of a usage: one that is spelled as another system spells it would be counted as nothing.
 */

export function unitsField() {
  return wholeField(0, unitsMax)
}

/** A whole number within bounds; what is wrong with one is said once. */
export function wholeField(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`
  return z.int({ error, abort: true }).min(min, error).max(max, error)
}

/** Epoch milliseconds, or a text with its offset. */
export function instantField() {
  return z.union([z.number(), z.string()], { error: instantMessage }).transform(toInstant)
}

/** As a format of text alone, such as CloudEvents prescribes (RFC 3339). */
export function instantTextField() {
  return z.string({ error: instantMessage }).transform(toInstant)
}

function toInstant(value: number | string, context: z.RefinementCtx): number {
  const reading = readInstant(value)
  if (reading.kind === 'read') return reading.at
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

/** HTTP status; 0 where the client was gone before one was sent. */
export function statusField() {
  return wholeField(0, 599)
}

/** Whose: the access token that was presented, or the id of a user whom the caller knows already. */
export const holderFields = {
  token: z.string().min(1).max(512).optional(),
  userId: z.string().max(64).refine(isUserId, "must be a user's id, such as usr_…").optional(),
}

interface HolderInput {
  readonly token?: string | undefined
  readonly userId?: string | undefined
}

export type Holder = { readonly accessToken: string } | { readonly userId: string }

/** Call it with what `checkHolder` found right. */
export function toHolder({ token, userId }: HolderInput): Holder {
  return userId === undefined ? { accessToken: token ?? '' } : { userId }
}

export function holderFault({ token, userId }: HolderInput): string | undefined {
  if (token === undefined && userId === undefined) return 'is required, or userId'
  if (token !== undefined && userId !== undefined) return 'says the same as userId: send one of them'
  return undefined
}

/** A model, a family, or both; a family that is said wins over the one that the model belongs to. */
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

/** What was used: the figures one by one, or in `units` as one number, which then counts as input. */
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

/** Lets a schema say that one of two fields is wrong; `place` is where the field stands. */
export function mustBe<T>(path: readonly string[], fault: (value: T) => string | undefined) {
  return (value: T, context: z.RefinementCtx<T>): void => {
    const message = fault(value)
    if (message !== undefined) context.addIssue({ code: 'custom', message, path: [...path] })
  }
}

/** What a value is by a schema, or what is wrong with it, at paths such as `[3].usage.input`. */
export function parse<T>(schema: Schema<T>, value: unknown): Parsed<T> {
  return parseBy(schema, value, `is not a known figure; known are ${Object.keys(figures).join(', ')}`)
}
