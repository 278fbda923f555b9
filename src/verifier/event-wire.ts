import { z } from 'zod'
import type { Family } from '#core/family.ts'
import type { Usage } from '#core/usage.ts'
import { isUserId } from '#core/user-id.ts'
import {
  type Holder,
  holderFault,
  holderFields,
  instantField,
  instantTextField,
  lineField,
  type ModelInput,
  modelFields,
  mustBe,
  statusField,
  toFamily,
  toHolder,
  toUsage,
  usageFault,
  usageFields,
} from './fields-wire.ts'

/**
 * Usage that was metered elsewhere, as a plain object or as a CloudEvent 1.0 whose `data` holds the same members.
 * Source and id identify an event, as in CloudEvents (section 3.1.1); a plain one may leave the source out.
 */
export interface ReportedUsage {
  readonly id: string
  readonly source: string
  readonly holder: Holder
  readonly model: string
  readonly family: string
  readonly usage: Usage
  readonly isEstimated: boolean
  readonly status: number
  readonly upstream: string | undefined
  readonly happenedAt: number | undefined
}

function dataFields(families: readonly Family[]) {
  return {
    ...holderFields,
    ...modelFields(families),
    ...usageFields,
    status: statusField().default(200),
    upstream: lineField(80).optional(),
    isEstimated: z.boolean().default(false),
  }
}

export function createEventSchema(families: readonly Family[]) {
  return z
    .object({
      ...dataFields(families),
      id: lineField(256),
      source: lineField(1024).optional(),
      happenedAt: instantField().optional(),
    })
    .superRefine(mustBe(['token'], holderFault))
    .superRefine(mustBe(['model'], (event) => modelFault(event, families)))
    .superRefine(mustBe(['usage'], usageFault))
    .transform(
      ({ source = '', id, happenedAt, ...data }): ReportedUsage => ({
        id,
        source,
        happenedAt,
        holder: toHolder(data),
        ...toReported(data, families),
      }),
    )
}

/** The attributes for usage, time and user; `type` and extensions are ignored. */
export function createCloudEventSchema(families: readonly Family[]) {
  return z
    .object({
      specversion: z.literal('1.0'),
      id: lineField(256),
      source: lineField(1024),
      type: lineField(256),
      subject: lineField(512).optional(),
      time: instantTextField().optional(),
      data: z.object(dataFields(families)),
    })
    .superRefine(mustBe(['data', 'token'], (event) => holderFault(holderOf(event))))
    .superRefine(mustBe(['data', 'model'], ({ data }) => modelFault(data, families)))
    .superRefine(mustBe(['data', 'usage'], ({ data }) => usageFault(data)))
    .transform(
      (event): ReportedUsage => ({
        id: event.id,
        source: event.source,
        happenedAt: event.time,
        holder: toHolder(holderOf(event)),
        ...toReported(event.data, families),
      }),
    )
}

interface CloudEventInput {
  readonly subject?: string | undefined
  readonly data: { readonly token?: string | undefined; readonly userId?: string | undefined }
}

/** The subject may name the user; only by id, since brokers route by it and log it. */
function holderOf({ subject, data }: CloudEventInput) {
  const { token, userId } = data
  const isSaid = token !== undefined || userId !== undefined
  return isSaid || subject === undefined || !isUserId(subject) ? { token, userId } : { userId: subject }
}

function modelFault(input: ModelInput, families: readonly Family[]): string | undefined {
  if (input.model === undefined && input.family === undefined) return 'is required, or family'
  return toFamily(input, families) === undefined ? 'belongs to no family' : undefined
}

type DataInput = z.output<z.ZodObject<ReturnType<typeof dataFields>>>

function toReported(data: DataInput, families: readonly Family[]) {
  const { status, upstream, isEstimated } = data
  const family = toFamily(data, families) ?? ''
  return { model: data.model ?? family, family, usage: toUsage(data), status, upstream, isEstimated }
}
