import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { OpenAPIHono } from '@hono/zod-openapi'
import { describeApi } from '#admin/openapi.ts'
import { createAdminRoutes } from '#admin/routes.ts'
import { builtInFamilies } from '#core/family.ts'

/**
 * Builds the console into `console/dist`, from which the server sends it: the types of its API client from the API's
 * description, then the files, then a compressed copy of each. `npm ci` runs it; an installation without development
 * packages keeps what was built before.
 */
const root = join(import.meta.dirname, '..', 'console')
const tools = [join(root, 'node_modules', '.bin'), join(root, '..', 'node_modules', '.bin')]

const vite = toolAt('vite')
const typeMaker = toolAt('openapi-typescript')
if (vite === undefined || typeMaker === undefined) {
  console.info('The console is not built: its development packages are not installed.')
} else {
  const document = join(root, 'src', 'api', 'openapi.json')
  writeFileSync(document, JSON.stringify(apiDocument()))
  run(typeMaker, [document, '--output', join(root, 'src', 'api', 'schema.ts')])
  run(vite, ['build', '--logLevel', 'warn'])
  for (const file of filesBelow(join(root, 'dist'))) compress(file)
}

function toolAt(name: string): string | undefined {
  return tools.map((folder) => join(folder, name)).find((file) => existsSync(file))
}

function apiDocument(): object {
  const routes = createAdminRoutes({ families: builtInFamilies, limits: {} })
  return describeApi(new OpenAPIHono(), routes, '')
}

function run(program: string, args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  if (status !== 0) process.exit(status ?? 1)
}

function filesBelow(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile())
}

/** Once, as tightly as it goes, so that no request pays for it. */
function compress(file: string): void {
  const bytes = readFileSync(file)
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }))
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
}
