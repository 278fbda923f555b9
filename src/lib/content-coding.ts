import type { Transform } from 'node:stream'
import {
  brotliDecompressSync,
  constants,
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  createZstdDecompress,
  gunzipSync,
  inflateRawSync,
  inflateSync,
  zstdDecompressSync,
} from 'node:zlib'

/** The codings of a body that are decoded here (RFC 9110, 8.4.1), and what decodes each. */
export const codings = ['gzip', 'br', 'zstd', 'deflate'] as const
export type Coding = (typeof codings)[number]

/** @param name in lower case; undefined where it is not decoded here */
export function toCoding(name: string): Coding | undefined {
  return name === 'x-gzip' ? 'gzip' : codings.find((coding) => coding === name)
}

/** Names that servers give a body without a coding; `none` is often set so that a proxy does not compress a stream. */
const plainNames: ReadonlySet<string> = new Set([
  '',
  'identity',
  'none',
  'utf-8',
  'utf8',
  'binary',
  '7bit',
  '8bit',
  'chunked',
  'text',
  'plain',
])

/**
 * The one coding that a `content-encoding` header names, in lower case; '' if the body has none. A list of several is
 * returned as it is, and names no coding that is decoded here.
 */
export function codingNameOf(value: string | readonly string[] | undefined): string {
  if (value === undefined) return ''
  const names = String(value)
    .split(',')
    .map((name) => name.split(';', 1)[0]?.trim().toLowerCase() ?? '')
  return names.filter((name) => !plainNames.has(name)).join(', ')
}

interface DecompressorOptions {
  /** A body that breaks off gives what came before, not an error. */
  readonly takesPart?: boolean
  /** The size of the pieces that come out, in bytes. */
  readonly chunkSize?: number
  /** The largest window of zstd, as a power of two. */
  readonly zstdWindowLogMax?: number
}

/** @param first the body's first bytes, at least one */
export function createDecompressor(
  coding: Coding,
  first: Buffer,
  { takesPart = false, chunkSize, zstdWindowLogMax }: DecompressorOptions = {},
): Transform {
  const options = (finishFlush: number) => ({
    ...(chunkSize !== undefined && { chunkSize }),
    ...(takesPart && { finishFlush }),
  })
  switch (coding) {
    case 'gzip':
      return createGunzip(options(constants.Z_SYNC_FLUSH))
    case 'br':
      return createBrotliDecompress(options(constants.BROTLI_OPERATION_FLUSH))
    case 'zstd':
      return createZstdDecompress({
        ...options(constants.ZSTD_e_flush),
        ...(zstdWindowLogMax !== undefined && {
          params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
        }),
      })
    case 'deflate':
      return (isZlib(first) ? createInflate : createInflateRaw)(options(constants.Z_SYNC_FLUSH))
  }
}

/**
 * Synchronous, for small bodies. Throws where the body is not of that coding, or its decoded size is beyond `bytesMax`.
 */
export function decompress(coding: Coding, body: Buffer, bytesMax: number): Buffer {
  const options = { maxOutputLength: bytesMax }
  switch (coding) {
    case 'gzip':
      return gunzipSync(body, options)
    case 'br':
      return brotliDecompressSync(body, options)
    case 'zstd':
      return zstdDecompressSync(body, options)
    case 'deflate':
      return (isZlib(body) ? inflateSync : inflateRawSync)(body, options)
  }
}

/** `deflate` means zlib's format, but some send bare deflate; zlib's first byte names method 8. */
function isZlib(body: Buffer): boolean {
  return (body[0] ?? 0) % 16 === 8
}
