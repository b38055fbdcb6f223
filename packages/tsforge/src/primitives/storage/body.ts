import { createHash } from 'node:crypto'
import { addAbortSignal, finished, Readable } from 'node:stream'
import { storageErrors } from './errors.ts'
import type { Body } from './storage.ts'

export interface BodyLimits {
  readonly size: number | undefined
  readonly maxSize: number | undefined
  /** In hex. */
  readonly sha256: string | undefined
  readonly signal: AbortSignal | undefined
}

/** Bytes of a body that lies in memory already. */
export function knownSize(body: Body): number | undefined {
  if (typeof body === 'string') return Buffer.byteLength(body)
  if (body instanceof Uint8Array) return body.byteLength
  return body instanceof Blob ? body.size : undefined
}

/**
 * The body in pieces, held to what was announced: it throws instead of ending when size or check sum differ, so that
 * whoever stores it never takes it for complete.
 */
export async function* measured(body: Body, { size, maxSize, sha256, signal }: BodyLimits): AsyncGenerator<Buffer> {
  const hash = sha256 === undefined ? undefined : createHash('sha256')
  const limit = Math.min(size ?? Infinity, maxSize ?? Infinity)
  let seen = 0
  for await (const piece of pieces(body, signal)) {
    signal?.throwIfAborted()
    if (!(piece instanceof Uint8Array)) throw new TypeError('a body is made of bytes')
    seen += piece.byteLength
    if (seen > limit) {
      throw limit === size
        ? storageErrors.error('storage.body_mismatch', { meta: { reason: 'size' } })
        : storageErrors.error('storage.body_too_large', { meta: { limit } })
    }
    const bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    hash?.update(bytes)
    if (bytes.length > 0) yield bytes
  }
  signal?.throwIfAborted()
  if (size !== undefined && seen !== size)
    throw storageErrors.error('storage.body_mismatch', { meta: { reason: 'size' } })
  if (hash !== undefined && hash.digest('hex') !== sha256)
    throw storageErrors.error('storage.body_mismatch', { meta: { reason: 'sha256' } })
}

async function* pieces(body: Body, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  // A source that gives nothing any more would not let the loop see the signal.
  if (signal !== undefined && body instanceof Readable) addAbortSignal(signal, body)
  if (typeof body === 'string') yield Buffer.from(body)
  else if (body instanceof Uint8Array) yield body
  else if (body instanceof Blob) yield* body.stream()
  else if (body instanceof Readable) yield* untouched(body)
  else yield* body
}

/**
 * The pieces of a stream as its source made them. `for await` over the stream would join those that have gathered
 * meanwhile: a copy of each byte, and as much garbage as V8 lets lie.
 */
async function* untouched(body: Readable): AsyncGenerator<Uint8Array> {
  const come: Uint8Array[] = []
  const end: { reached: boolean; error?: Error | null | undefined } = { reached: false }
  let wake = (): void => undefined
  // This goes on listening after an early end: what breaks then concerns nobody any more.
  finished(body, { writable: false }, (error) => {
    Object.assign(end, { reached: true, error })
    wake()
  })
  body.on('data', (piece: Uint8Array) => {
    come.push(piece)
    body.pause()
    wake()
  })
  try {
    for (;;) {
      const piece = come.shift()
      if (piece !== undefined) yield piece
      else if (end.error) throw end.error
      else if (end.reached) return
      else
        await new Promise<void>((resolve) => {
          wake = resolve
          body.resume()
        })
    }
  } finally {
    // An early end destroys a stream, which tells its source.
    if (!end.reached) body.destroy()
  }
}
