import { createHmac, randomBytes } from 'node:crypto'
import type { NewChange } from '#core/change.ts'
import type { Vault } from '#core/vault.ts'
import type { ChangeHeadRow, ChangeRow } from '#storage/schema/tables.ts'

/**
 * The chain of changes: each row's hash covers its content and the hash of the row before, under a key that is stored
 * encrypted. A row that was altered, removed or added behind the program's back breaks it; without the master key the
 * chain cannot be made anew.
 */
export interface Chain {
  /**
   * The rows of further changes, and the head behind them.
   * @param head the stored head, absent before the first change
   * @param lastSeq the newest stored row, which a damaged head may not name
   */
  readonly append: (
    head: ChangeHeadRow | undefined,
    lastSeq: number,
    changes: readonly NewChange[],
  ) => { readonly rows: readonly ChangeRow[]; readonly head: ChangeHeadRow }
  /** The head after rows were removed up to a place. */
  readonly removedTo: (head: ChangeHeadRow, seq: number, hash: string) => ChangeHeadRow
}

/** The columns of a row, in the order in which its hash covers them. */
export const changeColumns = [
  'seq',
  'at',
  'actor_kind',
  'actor_id',
  'actor_name',
  'kind',
  'object',
  'fields_before',
  'fields_after',
  'request_id',
  'address',
  'hash',
] as const satisfies readonly (keyof ChangeRow)[]

export const headColumns = [
  'id',
  'seq',
  'hash',
  'removed_seq',
  'removed_hash',
  'key_encrypted',
  'mac',
] as const satisfies readonly (keyof ChangeHeadRow)[]

/** The hash before the first change. */
export const noHash = ''
/** The id of the head's one row. */
export const headId = 'head'

export function createChain(vault: Vault): Chain {
  let held: { readonly sealed: string; readonly key: Buffer } | undefined

  function keyOf(sealed: string | null): { readonly sealed: string; readonly key: Buffer } {
    if (sealed === null || sealed !== held?.sealed)
      held = (sealed !== null && openKey(sealed, vault)) || made(vault)
    return held
  }

  return {
    append(head, lastSeq, changes) {
      const { sealed, key } = keyOf(head?.key_encrypted ?? null)
      let seq = Math.max(head?.seq ?? 0, lastSeq)
      let hash = head?.hash ?? noHash
      const rows = changes.map((change) => {
        const row = { ...toRow(change), seq: ++seq }
        hash = hashOf(row, hash, key)
        return { ...row, hash, redaction: null }
      })
      const { removed_seq = 0, removed_hash = noHash } = head ?? {}
      const places = { seq, hash, removed_seq, removed_hash }
      return { rows, head: { id: headId, ...places, key_encrypted: sealed, mac: macOf(places, key) } }
    },
    removedTo(head, removed_seq, removed_hash) {
      const moved = { ...head, removed_seq, removed_hash }
      const key = head.key_encrypted === null ? undefined : openKey(head.key_encrypted, vault)?.key
      return { ...moved, mac: key ? macOf(moved, key) : null }
    },
  }
}

/** The key that is stored; undefined where it cannot be read: a change must not fail because of it. */
export function openKey(
  sealed: string,
  vault: Vault,
): { readonly sealed: string; readonly key: Buffer } | undefined {
  try {
    return { sealed, key: Buffer.from(vault.unseal(sealed, headId), 'base64') }
  } catch {
    return undefined
  }
}

function made(vault: Vault): { readonly sealed: string; readonly key: Buffer } {
  const key = randomBytes(32)
  return { sealed: vault.seal(key.toString('base64'), headId), key }
}

function toRow({
  by,
  kind,
  object,
  before,
  after,
}: NewChange): Omit<ChangeRow, 'seq' | 'hash' | 'redaction'> {
  const { now, actor, requestId = null, address = null } = by
  return {
    at: now,
    actor_kind: actor.kind,
    actor_id: actor.id ?? null,
    actor_name: actor.name ?? null,
    kind,
    object,
    fields_before: before ? JSON.stringify(before) : null,
    fields_after: after ? JSON.stringify(after) : null,
    request_id: requestId,
    address,
  }
}

type Places = Pick<ChangeHeadRow, 'seq' | 'hash' | 'removed_seq' | 'removed_hash'>

/** Covers where the chain begins and ends. */
export function macOf({ seq, hash, removed_seq, removed_hash }: Places, key: Buffer): string {
  const content = JSON.stringify(['head', seq, hash, removed_seq, removed_hash])
  return createHmac('sha256', key).update(content).digest('base64url')
}

type Content = Omit<ChangeRow, 'hash' | 'redaction'>

/** @param before the hash of the row before */
function hashOf(row: Content, before: string, key: Buffer): string {
  return macOver([before, ...contentOf(row)], key)
}

/**
 * The code of a row that personal data was taken out of. The row keeps its hash, by which the next one follows, and the
 * code says that the program itself took the rest away. @param before the hash of the row before
 */
export function redactionOf(row: Omit<ChangeRow, 'redaction'>, before: string, key: Buffer): string {
  return macOver(['redacted', before, ...contentOf(row), row.hash], key)
}

/** Whether a row is as the program wrote it, or left it when it took personal data out. */
export function isAsWritten(row: ChangeRow, before: string, key: Buffer): boolean {
  return row.redaction === null
    ? row.hash === hashOf(row, before, key)
    : row.redaction === redactionOf(row, before, key)
}

function contentOf(row: Content): readonly unknown[] {
  const { seq, at, actor_kind, actor_id, actor_name, kind, object } = row
  const { fields_before, fields_after, request_id, address } = row
  const content = [seq, at, actor_kind, actor_id, actor_name, kind, object]
  return [...content, fields_before, fields_after, request_id, address]
}

function macOver(content: readonly unknown[], key: Buffer): string {
  return createHmac('sha256', key).update(JSON.stringify(content)).digest('base64url')
}
