import { accepts } from 'hono/accepts'
import type { AdminContext } from '#admin/request/context.ts'
import { consoleHeaders } from '#http/security-headers.ts'
import type { ConsoleFile, ConsoleFiles } from './files.ts'

/** Where the console's own files stand; every other path below `/console` is a view of the page. */
const assets = '/console/assets/'

/** Answers a path of the console; undefined where a file of an older build is asked for. */
export function sendConsole(c: AdminContext, files: ConsoleFiles): Response | undefined {
  const { path } = c.get('target')
  const file = files.find(path)
  if (file) return send(c, file)
  return path.startsWith(assets) ? undefined : send(c, files.page)
}

function send(c: AdminContext, file: ConsoleFile): Response {
  const supports = [...(file.br ? ['br'] : []), ...(file.gzip ? ['gzip'] : []), 'identity']
  const coding = accepts(c, { header: 'Accept-Encoding', supports, default: 'identity' })
  const body = coding === 'br' ? file.br : coding === 'gzip' ? file.gzip : file.plain
  return c.body(body ?? file.plain, 200, {
    ...consoleHeaders,
    'content-type': file.type,
    'cache-control': file.isHashed ? 'public, max-age=31536000, immutable' : 'no-cache',
    vary: 'accept-encoding',
    ...(body !== file.plain && { 'content-encoding': coding }),
  })
}
