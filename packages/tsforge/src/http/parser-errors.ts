import type { Socket } from 'node:net'
import { httpErrors } from './errors.ts'
import type { HttpErrorCode } from './errors.ts'
import { accessLine } from './access-line.ts'
import { clientAddress } from './client-address.ts'
import { renderFailure } from './failure.ts'
import type { RouteMeter } from './meters.ts'
import { newRequestId } from './request-id.ts'
import type { Site } from './site.ts'
import { endAfterThis, expectReader, inFlight, isBeyondLast } from './sockets.ts'
import { statusText } from './status-text.ts'

const codes: Readonly<Record<string, HttpErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'http.headers_too_large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'http.body_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'http.receive_timeout',
}

/**
 * Answers what Node's parser refuses before there is a request: oversized headers, bad framing, requests
 * that do not arrive. Same envelope and headers, one access line, then the connection is closed.
 */
export function parserErrors(site: Site): (error: Error & { code?: string }, socket: Socket) => void {
  const meter = site.meters.route('', '')
  return (error, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
    const failure = httpErrors.error(
      codes[error.code ?? ''] ?? 'http.request_malformed',
      error.code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW' ? { meta: { limit: 16_384 } } : {},
    )
    if (isBeyondLast(socket)) return void socket.destroySoon()
    const [current, ...others] = inFlight(socket)
    if (current === undefined) return refuse(site, meter, socket, failure)
    // The caller left in the middle of a body.
    if (error.code === 'HPE_INVALID_EOF_STATE') {
      current.abandon()
      return void socket.destroy()
    }
    // The bytes belong to a request that is still arriving: it gets the answer. Behind answered ones they
    // belong to nobody who could tell the answers apart.
    if (others.length === 0 && current.hasBody && !current.bodyRead) {
      current.closing = true
      // There is no more to read from a broken parser.
      current.bodyRead = true
      current.fail(failure)
    } else socket.destroy()
  }
}

/** Writes an answer straight to a connection that has no request. */
export function refuse(site: Site, meter: RouteMeter, socket: Socket, failure: Error, method = ''): void {
  const requestId = newRequestId()
  const { status, body, contentType, language, headers } = renderFailure(failure, {
    i18n: site.i18n,
    locale: site.defaultLocale,
    requestId,
    problem: false,
    path: '',
  })
  const lines = [
    `HTTP/1.1 ${status} ${statusText(status)}`,
    `date: ${new Date(site.clock.now()).toUTCString()}`,
    'connection: close',
  ]
  lines.push(
    `content-type: ${contentType}`,
    `content-language: ${language}`,
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    'cache-control: no-store',
  )
  for (let at = 0; at < site.security.length; at += 2) lines.push(`${site.security[at]!}: ${site.security[at + 1]!}`)
  for (const [name, value] of Object.entries(headers ?? {})) lines.push(`${name}: ${value}`)
  const ip = clientAddress({ socket, headers: {} } as never, { hops: 0, blocks: undefined })
  endAfterThis(socket)
  expectReader(socket, site.silenceMs)
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
  meter.record(status, 0)
  site.sink.write(
    accessLine({
      now: site.clock.now(),
      method,
      route: '',
      path: '',
      status,
      durationMs: 0,
      bytes: body.length,
      ip,
      requestId,
      actorId: null,
      tenantId: null,
      traceId: undefined,
      aborted: false,
    }),
  )
}
