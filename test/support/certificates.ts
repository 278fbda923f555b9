import { execFileSync } from 'node:child_process'
import { chownSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { owner } from './database-programs.ts'
import { needProgram } from './debian.ts'

/** A certificate authority of the test; all its files are in its folder. */
export interface Authority {
  /** Path of its certificate. */
  readonly certificate: string
  /** A certificate for an address, and its key, which belong to the database's user. */
  readonly issue: (name: string, address: string) => { readonly certificate: string; readonly key: string }
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export function createAuthority(folder: string, name: string): Authority {
  const openssl = needProgram('openssl')
  const run = (...args: string[]) => execFileSync(openssl, args, { stdio: 'pipe' })
  const pathOf = (file: string) => join(folder, file)
  const [certificate, authorityKey] = [pathOf(`${name}.crt`), pathOf(`${name}.key`)]
  const subject = ['-days', '2', '-subj', `/CN=${name}`]
  run('req', '-x509', ...newKey, ...subject, '-keyout', authorityKey, '-out', certificate)
  return {
    certificate,
    issue(file, address) {
      const [key, request, issued] = ['key', 'csr', 'crt'].map((kind) => pathOf(`${file}.${kind}`))
      const extensions = pathOf(`${file}.ext`)
      if (!key || !request || !issued) throw new Error('three names give three paths')
      writeFileSync(extensions, `subjectAltName=IP:${address}\n`)
      run('req', ...newKey, '-subj', `/CN=${file}`, '-keyout', key, '-out', request)
      run(
        ...['x509', '-req', '-in', request, '-CA', certificate, '-CAkey', authorityKey, '-CAcreateserial'],
        ...['-days', '2', '-extfile', extensions, '-out', issued],
      )
      const { uid, gid } = owner
      if (uid !== undefined && gid !== undefined) for (const path of [key, issued]) chownSync(path, uid, gid)
      return { certificate: issued, key }
    },
  }
}
