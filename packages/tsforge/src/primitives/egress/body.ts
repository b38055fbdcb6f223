import type { Readable } from 'node:stream'
import { egressErrors } from './errors.ts'

/** Reads at most `limit` bytes; a longer body is cut there when `clip` is set, else refused. The rest is not read. */
export async function readBody(
  stream: Readable,
  limit: number,
  clip: boolean,
): Promise<{ readonly body: Buffer; readonly clipped: boolean }> {
  const chunks: Buffer[] = []
  let size = 0
  // A destroyed stream may still tell of the connection that it took along.
  stream.on('error', () => {})
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const room = limit - size
    if (chunk.length > room) {
      if (!clip) throw egressErrors.error('egress.response_too_large', { meta: { limit } })
      // Leaving the loop destroys the stream, and with it the connection.
      chunks.push(chunk.subarray(0, room))
      return { body: Buffer.concat(chunks), clipped: true }
    }
    chunks.push(chunk)
    size += chunk.length
  }
  return { body: Buffer.concat(chunks), clipped: false }
}
