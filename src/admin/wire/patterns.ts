/**
 * The forms of texts in the API's description, as JSON Schema's regular expressions. They say no more than the checks
 * beside them; what a pattern cannot say (a date that exists) is left to the check.
 */
const control = '\\u0000-\\u001f\\u007f-\\u009f'

/** No control characters. */
export const linePattern = `^[^${control}]*$`
/** Line breaks may be in it. */
export const textPattern = '^[^\\u0000]*$'
/** A line that is more than white space. */
export const namePattern = `^[^${control}]*[^\\s${control}][^${control}]*$`

const tag = `[^,\\s${control}](?:[^,${control}]*[^,\\s${control}])?`
export const tagPattern = `^${tag}$`
/** @param most tags with commas between */
export const tagsPattern = (most: number) => `^${tag}(?:,${tag}){0,${most - 1}}$`

// Epoch milliseconds begin with 1970, and west of Greenwich on the day before.
const day = '(?:1969|19[7-9]\\d|[2-9]\\d{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\\d|3[01])'
const time =
  '[Tt](?:[01]\\d|2[0-3]):[0-5]\\d(?::[0-5]\\d(?:\\.\\d{1,9})?)?(?:[Zz]|[+-](?:[01]\\d|2[0-3]):[0-5]\\d)'
/** Epoch milliseconds, a date, or a time with its offset. */
export const askedTimePattern = `^(?:\\d{1,14}|[01]\\d{14}|2[0-5]\\d{13}|${day}(?:${time})?)$`

/** Of a text that names a user: an access token or an id. */
export const accessTokenForm = { minLength: 1, maxLength: 512, pattern: linePattern } as const
/** Visible ASCII (RFC 9110 allows more in a field's value; keys are compared by bytes). */
export const visiblePattern = '^[\\u0021-\\u007e]*$'
