import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A temporary folder that the caller removes. */
export function makeFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'tollgate-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** A temporary folder that is removed when the test ends. */
export async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = makeFolder()
  try {
    await run(folder.path)
  } finally {
    folder.remove()
  }
}
