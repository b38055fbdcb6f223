import type { ServerResponse } from 'node:http'
import { pipeline } from 'node:stream'
import type { Readable, Writable } from 'node:stream'
import { reply } from './answer.ts'
import type { Answer } from './route.ts'

/** An answer that goes on until one of both sides ends it. Exactly one of `open` and `cancel` is called. */
export interface LiveSource {
  /**
   * The head is on its way; from now on the source writes by itself. `writableLength` are the bytes that the kernel has not
   * taken, `drain` and `close` are told as by every stream. No time limit holds, and the end closes the connection.
   */
  open(out: Writable): void
  /** It will never be opened: the caller has gone, or asked for the head alone. */
  cancel(): void
  /** The server stops: says goodbye and ends. Called again, or after the caller has gone, it does nothing. */
  end(): void
}

const kind = Symbol('live answer')

/** What the handler of a route with `plain` returns in place of data. */
export function live(
  source: LiveSource,
  options: { readonly headers?: Readonly<Record<string, string>> } = {},
): Answer<never> {
  ;(source as Marked)[kind] = true
  return reply(source as never, options)
}

type Marked = LiveSource & { [kind]?: true }

export function isLive(data: unknown): data is LiveSource {
  return typeof data === 'object' && data !== null && (data as Marked)[kind] === true
}

interface LiveSite {
  readonly live: Set<LiveSource>
  draining(): boolean
}

/** The head has been sent. */
export function openLive(source: LiveSource, res: ServerResponse, site: LiveSite): void {
  if (res.req.method === 'HEAD') {
    source.cancel()
    return void res.end()
  }
  // Silence is no fault of such a caller.
  res.req.socket.setTimeout(0)
  site.live.add(source)
  res.once('close', () => site.live.delete(source))
  source.open(res)
  if (site.draining()) source.end()
}

const goneAway = new Set(['ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE'])

/** Sends what a stream gives. When it fails, the caller sees a cut connection, never a short answer that looks whole. */
export function sendStream(stream: Readable, res: ServerResponse, onFault: (error: Error) => void): void {
  if (res.req.method === 'HEAD') {
    stream.destroy()
    return void res.end()
  }
  pipeline(stream, res, (error: NodeJS.ErrnoException | null | undefined) => {
    // The caller went away, which is no fault.
    if (error !== null && error !== undefined && !goneAway.has(error.code ?? '')) onFault(error)
  })
}
