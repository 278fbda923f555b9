import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { extname, join } from 'node:path'

/** One file of the console, as it was built: plain, and compressed where that is smaller. */
export interface ConsoleFile {
  readonly type: string
  readonly plain: Uint8Array<ArrayBuffer>
  readonly br?: Uint8Array<ArrayBuffer>
  readonly gzip?: Uint8Array<ArrayBuffer>
  /** Whether its name changes with its content, so that a copy of it is right for ever. */
  readonly isHashed: boolean
}

export interface ConsoleFiles {
  /** By path, such as `/console/assets/index-1a2b.js`. */
  readonly find: (path: string) => ConsoleFile | undefined
  /** The page, whatever view of it the address names. */
  readonly page: ConsoleFile
}

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

const built = join(import.meta.dirname, '..', '..', '..', 'console', 'dist')

/** Reads what `npm run build` made. Undefined where the console was not built; everything else works without it. */
export function openConsoleFiles(folder = built): ConsoleFiles | undefined {
  if (!existsSync(join(folder, 'index.html'))) return undefined
  const files = new Map<string, ConsoleFile>()
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    const type = types[extname(name)]
    if (type === undefined) continue
    const read = (end: string) => {
      const file = join(folder, `${name}${end}`)
      return existsSync(file) ? new Uint8Array(readFileSync(file)) : undefined
    }
    const plain = read('')
    const [br, gzip] = [read('.br'), read('.gz')]
    if (plain === undefined) continue
    files.set(`/console/${name.replaceAll('\\', '/')}`, {
      type,
      plain,
      ...(br && br.length < plain.length && { br }),
      ...(gzip && gzip.length < plain.length && { gzip }),
      isHashed: name.startsWith('assets'),
    })
  }
  const page = files.get('/console/index.html')
  return page && { find: (path) => files.get(path), page }
}
