/** How a caller names a user: by our id or by the access token itself. */
export type UserRef = { readonly id: string } | { readonly accessToken: string }

/**
 * How a write names a user: also by the SHA-256 of an access token that is not known itself, as 64 hexadecimal digits in
 * lower case.
 */
export type WriteRef = UserRef | { readonly tokenDigest: string }
