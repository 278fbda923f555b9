import { z } from '@hono/zod-openapi'
import { daysField, limitField, modelsField, networksField } from '#admin/wire/fields.ts'
import { type LimitName, type LimitRow, type LimitValue, limitRows, meaningOf } from '#core/limits.ts'

/** The fields of a user's limits on the wire, by the table of limits. */
type FieldOf<Name extends LimitName> = z.ZodType<LimitValue<Name>, LimitValue<Name>>
type LimitInputs = { [Name in LimitName]: z.ZodOptional<z.ZodNullable<FieldOf<Name>>> }
type LimitAnswers = { [Name in LimitName]: z.ZodOptional<FieldOf<Name>> }

/** In a body: `null` clears the user's own limit. */
export function limitInputs(): LimitInputs {
  const entries = limitRows.map(([name, row]) => {
    const description = [row.what, meaningOf(row), 'Absent: unchanged; null: the configured default.']
    return [name, described(inputOf(row), description).nullish()]
  })
  // Each field was made by the kind of its limit.
  return Object.fromEntries(entries) as LimitInputs
}

/** In an answer: only what is set for this user. */
export function limitAnswers(): LimitAnswers {
  const entries = limitRows.map(([name, row]) => {
    const description = [row.what, meaningOf(row), `Absent: the configured default, else ${row.byDefault}.`]
    return [name, described(answerOf(row), description).optional()]
  })
  return Object.fromEntries(entries) as LimitAnswers
}

function described(field: z.ZodType, sentences: readonly string[]): z.ZodType {
  return field.openapi({ description: sentences.filter((sentence) => sentence !== '').join(' ') })
}

function inputOf(row: LimitRow): z.ZodType {
  switch (row.kind) {
    case 'count':
      return limitField()
    case 'days':
      return daysField()
    case 'networks':
      return networksField()
    case 'models':
      return modelsField()
    case 'choice':
      return z.enum(row.choices)
  }
}

/** What is stored was checked when it was written. */
function answerOf(row: LimitRow): z.ZodType {
  const isList = row.kind === 'networks' || row.kind === 'models'
  return isList ? z.array(z.string()) : inputOf(row)
}
