import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder of the test's own, for who takes it away himself. */
export function makeFolder(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'tollgate-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** A folder of the test's own, gone when it ends. */
export async function withFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = makeFolder()
  try {
    await run(folder.path)
  } finally {
    folder.remove()
  }
}
