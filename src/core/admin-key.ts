/** Where a key is accepted: `admin` at the admin API, `verifier` at the endpoints for other gateways. */
export type Scope = 'admin' | 'verifier'
export const scopes: readonly Scope[] = ['admin', 'verifier']

export interface AdminKey {
  readonly id: string
  readonly name: string
  readonly createdAt: number
  readonly expiresAt?: number
  readonly scopes: readonly Scope[]
  /** An operator chose it, and it is short enough that it might be guessed. */
  readonly isGuessable?: boolean
  /** The stored row cannot be read, so that the key opens nothing. What is unknown of it is empty, or 0. */
  readonly isDamaged?: true
}

export interface NewAdminKey {
  readonly name: string
  readonly secret: string
  readonly scopes: readonly Scope[]
  readonly expiresAt?: number
}
