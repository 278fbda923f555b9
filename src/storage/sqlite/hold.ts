import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { faultOf, locked } from '../fault.ts'

/**
 * Locks a file for this process and returns a function that unlocks it. The lock is the operating system's, taken
 * through SQLite, so it ends with the process in any case. Throws where another process holds it: two servers on one
 * SQLite database would settle each other's running requests.
 */
export function holdFile(path: string): () => void {
  const db = new DatabaseSync(path)
  try {
    db.exec(
      'pragma locking_mode = exclusive; begin exclusive; create table if not exists held (by_process); commit; begin exclusive',
    )
  } catch (cause) {
    db.close()
    if (faultOf(cause) !== locked) throw cause
    throw new Error(
      `another Tollgate process is already using the folder ${dirname(path)}: stop it first, or start this server with another DATA_DIR`,
      {
        cause,
      },
    )
  }
  return () => db.close()
}
