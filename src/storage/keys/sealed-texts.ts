import type { Schema } from '#storage/schema/tables.ts'

/**
 * A column of texts that are sealed for the row's id. `hmac` is the column by which the sealed secret itself is found.
 * A new column of this kind is a line here: otherwise it is unreadable after the master key was replaced.
 */
export interface SealedTexts {
  readonly table: keyof Schema
  readonly id: string
  readonly sealed: string
  readonly hmac?: string
  /** What is sealed is not the secret but its SHA-256. */
  readonly isDigest?: true
}

export const sealedTexts: readonly SealedTexts[] = [
  { table: 'users', id: 'id', sealed: 'token_encrypted', hmac: 'token_hmac' },
  { table: 'old_tokens', id: 'user_id', sealed: 'token_encrypted', hmac: 'token_hmac' },
  {
    ...{ table: 'token_digests', id: 'user_id', sealed: 'digest_encrypted', hmac: 'token_hmac' },
    isDigest: true,
  },
  { table: 'front_ends', id: 'user_id', sealed: 'secret_encrypted' },
  { table: 'answers', id: 'id', sealed: 'answer_encrypted' },
  { table: 'second_factors', id: 'id', sealed: 'secret_encrypted' },
  { table: 'change_head', id: 'id', sealed: 'key_encrypted' },
]
