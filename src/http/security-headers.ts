/**
 * What browsers are told of every answer that Tollgate writes itself (OWASP REST Security Cheat Sheet, "Security
 * headers"): it is no page, it is shown in no frame, and other sites do not load it. Answers of upstreams pass without
 * these headers. `Strict-Transport-Security` belongs to the proxy that holds the certificate.
 */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}

/** A page runs its own files only, sends nothing elsewhere, and shares no window with the page that opened it. */
export const pageHeaders: Readonly<Record<string, string>> = {
  ...securityHeaders,
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; " +
    "form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'permissions-policy': 'camera=(), display-capture=(), geolocation=(), microphone=()',
}

/** The console also shows its own mark. */
export const consoleHeaders: Readonly<Record<string, string>> = {
  ...pageHeaders,
  'content-security-policy': `${pageHeaders['content-security-policy']}; img-src 'self'`,
}
