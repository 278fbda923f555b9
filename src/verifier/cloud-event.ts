import type { IncomingHttpHeaders } from 'node:http'
import { percentDecoded } from '#lib/percent-decoded.ts'

/** CloudEvents 1.0.2 over HTTP, section 3: the three ways in which a body may be events. */
export type EventForm = 'plain' | 'structured' | 'batch' | 'binary'

export function eventFormOf(headers: IncomingHttpHeaders, mediaType: string): EventForm {
  if (mediaType === 'application/cloudevents-batch+json') return 'batch'
  if (mediaType === 'application/cloudevents+json') return 'structured'
  return headers['ce-specversion'] === undefined ? 'plain' : 'binary'
}

const attributes = ['specversion', 'id', 'source', 'type', 'subject', 'time']

/** Binary mode: the attributes are headers and the body is the data. Returns one object, as in the structured mode. */
export function binaryEvent(headers: IncomingHttpHeaders, data: unknown): object {
  const found = attributes.flatMap((name) => {
    const value = headers[`ce-${name}`]
    return typeof value === 'string' ? [[name, attributeOf(value)]] : []
  })
  return { ...Object.fromEntries(found), data }
}

/** Section 3.1.3.2: removes quotes, then decodes percent-encoding. */
function attributeOf(value: string): string {
  const quoted = /^"(.*)"$/.exec(value)?.[1]
  const text = quoted === undefined ? value : quoted.replace(/\\(.)/g, '$1')
  return percentDecoded(text) ?? text
}
