/** How a caller names a user: by our id or by the access token itself. */
export type UserRef = { readonly id: string } | { readonly accessToken: string }
