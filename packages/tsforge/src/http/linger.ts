import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../kernel/clock.ts'

const moreBytes = 1024 * 1024
const moreMs = 1000

/**
 * Answers although the body is still arriving, and closes. Closing at once would make the kernel reset the
 * connection, and the caller would often lose the answer (RFC 9112 section 9.6); so the rest is read and
 * thrown away for a short while.
 */
export function linger(req: IncomingMessage, res: ServerResponse, body: string | Buffer, clock: Clock): void {
  if (req.method === 'HEAD') res.flushHeaders()
  else res.write(body)
  let seen = 0
  const timer = clock.after(moreMs, finish)
  function finish(): void {
    timer.cancel()
    req.off('data', count)
    req.pause()
    res.end()
  }
  function count(chunk: Buffer): void {
    seen += chunk.length
    if (seen > moreBytes) finish()
  }
  req.on('data', count)
  req.once('end', finish)
  req.once('close', finish)
}
