import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ForgeError } from '../kernel/errors.ts'
import { anything, parseAccept } from './accept.ts'
import type { Wanted } from './accept.ts'
import { accessLine } from './access-line.ts'
import { Answered } from './answer.ts'
import { Answering } from './answering.ts'
import { announcesBody, isComing } from './body.ts'
import { CallStanding } from './call-standing.ts'
import { clientAddress } from './client-address.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Expiring } from './deadlines.ts'
import { httpErrors } from './errors.ts'
import { ExtendedCall } from './extended-call.ts'
import { noneMatches } from './etag.ts'
import { answerOf, renderFailure } from './failure.ts'
import type { RenderedAnswer } from './feature.ts'
import { linger } from './linger.ts'
import { isLive, openLive, sendStream } from './live.ts'
import { Outgoing, keep, unpack } from './outgoing.ts'
import type { Site } from './site.ts'
import { parseTraceparent } from './trace.ts'
import { RequestUnit } from './unit.ts'
import type { RouteCall } from './unit.ts'
import { endAfterThis, expectReader, settle, track } from './sockets.ts'

/** How much of an unread body is worth reading to keep the connection. */
const worthReadingBytes = 64 * 1024

/** One request and its answer: the state that the steps of the pipeline share. Answers exactly once. */
export class Exchange implements Expiring {
  previous: Expiring | undefined = undefined
  next: Expiring | undefined = undefined
  deadline = 0
  readonly site: Site
  readonly route: CompiledRoute
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly id: string
  readonly unit: RequestUnit
  readonly ip: string
  readonly wanted: Wanted
  readonly hasBody: boolean
  receiving = false
  /** The whole body has been read. */
  bodyRead = false
  answered = false
  /** The connection must not be used again. */
  closing = false
  call: RouteCall | undefined = undefined
  readonly #now: number
  readonly #begunAt: number
  #waiting = false
  #rawExposed = false
  #extended: ExtendedCall | undefined = undefined
  #aborter: AbortController | undefined = undefined

  constructor(site: Site, route: CompiledRoute, request: FastifyRequest, reply: FastifyReply) {
    const req = request.raw
    const headers = req.headers
    this.site = site
    this.route = route
    this.request = request
    this.reply = reply
    this.req = req
    this.res = reply.raw
    this.id = request.id
    this.#now = site.clock.now()
    this.#begunAt = site.clock.monotonic()
    const language = headers['accept-language']
    const traceparent = headers['traceparent']
    this.unit = new RequestUnit(
      this,
      request.id,
      language === undefined ? site.defaultLocale : site.i18n.negotiate(language),
      typeof traceparent === 'string' ? parseTraceparent(traceparent) : undefined,
    )
    this.ip = clientAddress(req, site.trusted)
    const forwarded = headers['x-forwarded-for']
    if (forwarded !== undefined) site.proxies.look(req, forwarded, this.ip)
    this.wanted = headers.accept === undefined ? anything : parseAccept(headers.accept)
    this.hasBody = announcesBody(req)
    site.meters.inFlight++
    track(req.socket, this)
  }

  /** Target without the query. */
  get path(): string {
    const url = this.req.url ?? ''
    const end = url.indexOf('?')
    return end === -1 ? url : url.slice(0, end)
  }

  get signal(): AbortSignal {
    if (this.#aborter === undefined) {
      const aborter = (this.#aborter = new AbortController())
      if (this.answered || this.res.destroyed) aborter.abort()
      else this.res.once('close', () => (this.answered && this.res.writableFinished ? undefined : aborter.abort()))
    }
    return this.#aborter.signal
  }

  get standing(): CallStanding {
    return new CallStanding(this.site, this.unit)
  }

  exposeRaw(): { readonly request: FastifyRequest; readonly reply: FastifyReply } {
    if (!this.#rawExposed && this.#extended !== undefined) {
      const { added } = this.#extended
      for (let at = 0; at < added.length; at += 2) this.reply.header(added[at]!, added[at + 1]!)
    }
    this.#rawExposed = true
    return { request: this.request, reply: this.reply }
  }

  /** What gates and the around see; only for routes that have some. */
  extend(): ExtendedCall {
    return (this.#extended ??= new ExtendedCall(this, this.route.declared!))
  }

  /** The answer will come later: from now on the time limit counts. */
  wait(): void {
    if (this.#waiting || this.answered) return
    this.#waiting = true
    this.route.queue.add(this, this.#begunAt)
  }

  expire(): void {
    this.#waiting = false
    const error = httpErrors.error('http.timeout', { retryAfterMs: 1000 })
    this.fail(error)
    this.#aborter?.abort(error)
  }

  /** Sends what the handler returned. */
  succeed(value: unknown): void {
    if (this.answered) return
    if (this.#takenOver) return this.#handOver()
    let out: Outgoing
    try {
      out = this.#render(value)
    } catch (error) {
      return this.fail(error)
    }
    this.#send(out)
  }

  /** Answers an error; logs it when nobody could have expected it. */
  fail(thrown: unknown): void {
    if (this.answered) return this.#reportLate(thrown)
    // A handler that gave up because its caller had gone is no failure.
    if (this.res.destroyed) return this.abandon()
    if (this.res.headersSent) {
      this.res.destroy()
      return this.#handOver()
    }
    this.#report(thrown)
    this.#send(this.#renderFailure(thrown))
  }

  /** What the caller would get if the handler returned `value`. */
  render(value: unknown): RenderedAnswer {
    const out = this.#render(value)
    if (out.stream === undefined && out.live === undefined) return keep(out, this.route.headers)
    out.discard()
    throw new TypeError('an answer that is a stream cannot be kept')
  }

  /** The handler is about to run: what gates have taken for it is used now. */
  begin(): void {
    if (this.#extended !== undefined) this.#extended.worked = true
  }

  /** Runs the handler and tells what would be sent. Never rejects. */
  async run(call: RouteCall): Promise<RenderedAnswer> {
    const { route, res } = this
    this.begin()
    try {
      const value = await route.handler(call)
      return this.#takenOver ? this.#streamed() : this.render(value)
    } catch (error) {
      if (this.#takenOver) {
        res.destroy()
        return this.#streamed()
      }
      if (this.answered) this.#reportLate(error)
      else if (!res.destroyed) this.#report(error)
      return keep(this.#renderFailure(error), route.errorHeaders)
    }
  }

  /** Sends what an around returned. */
  replay(answer: RenderedAnswer): void {
    if (this.answered) return
    if (this.#takenOver) return this.#handOver()
    this.#send(unpack(answer, answer.status < 400 ? this.route.headers : this.route.errorHeaders))
  }

  /** The handler answers through Fastify's reply by itself. */
  get #takenOver(): boolean {
    return this.#rawExposed && !this.answered && (this.reply.sent || this.res.headersSent)
  }

  #streamed(): RenderedAnswer {
    return { status: this.res.statusCode, headers: [], body: undefined, streamed: true }
  }

  #render(value: unknown): Outgoing {
    const { route } = this
    const out = new Outgoing(route.headers, route.status)
    let data = value
    let own: Readonly<Record<string, string>> | undefined
    if (value instanceof Answered) {
      if (value.status !== 0) out.status = value.status
      own = value.headers
      data = value.data
    }
    if (this.#rawExposed) own = { ...(this.reply.getHeaders() as Record<string, string>), ...own }
    if (own !== undefined) out.merge(own)
    if (out.status === 204 || route.write === undefined) return out.withoutContent()
    if (data instanceof Readable && !route.enveloped) {
      out.stream = data
      return out
    }
    if (isLive(data) && !route.enveloped) {
      out.live = data
      return out
    }
    const text = route.write(data, out)
    if (route.tag !== undefined && out.status < 300) {
      const tag = own?.['etag'] ?? route.tag(data, text)
      if (own?.['etag'] === undefined) out.added.push('etag', tag)
      const known = route.conditional && out.status === 200 ? this.req.headers['if-none-match'] : undefined
      if (known !== undefined && noneMatches(known, tag)) {
        out.status = 304
        return out.withoutContent()
      }
    }
    out.body = route.enveloped ? `{"success":true,"data":${text as string},"request_id":"${this.id}"}` : text
    return out
  }

  #renderFailure(thrown: unknown): Outgoing {
    const { i18n, challenge } = this.site
    const { problem } = this.wanted
    const view = { i18n, locale: this.unit.locale, requestId: this.id, problem, path: this.path }
    return answerOf(renderFailure(thrown, view), this.route.errorHeaders, challenge)
  }

  /** The caller has gone; nothing can be sent. */
  abandon(): void {
    if (this.answered) return
    this.#aborter?.abort()
    this.#account(499, 0, true)
  }

  #report(thrown: unknown): void {
    const forged = thrown instanceof ForgeError
    if (forged && thrown.status !== 500 && thrown.cause === undefined) return
    const fields = {
      err: thrown,
      request_id: this.id,
      route: this.route.template,
      code: forged ? thrown.code : undefined,
      trace_id: this.unit.trace?.traceId,
    }
    if (!forged || thrown.status === 500) this.site.log.error(fields, 'request failed')
    else this.site.log.warn(fields, 'request refused')
  }

  #reportLate(thrown: unknown): void {
    if (!(thrown instanceof ForgeError))
      this.site.log.warn(
        { err: thrown, request_id: this.id, route: this.route.template },
        'request failed after it was answered',
      )
  }

  #send(out: Outgoing): void {
    const { res, req } = this
    const { added, status, body, stream, live } = out
    if (res.destroyed || req.socket.destroyed) {
      out.discard()
      return this.abandon()
    }
    const bytes = body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length
    if (this.#extended !== undefined) {
      const { added: given } = this.#extended
      // A gate's headers were checked where they were given.
      for (let at = 0; at < given.length; at += 2) out.add(given[at]!, given[at + 1]!)
    }
    added.push('x-request-id', this.id)
    if (body !== undefined) added.push('content-length', String(bytes))
    const origin = req.headers.origin
    if (origin !== undefined) {
      const cors = this.site.cors.answer(origin)
      if (cors !== undefined) added.push(...cors)
    }
    const unread = this.hasBody && !this.bodyRead && isComing(req)
    if (unread && !(Number(req.headers['content-length']) <= worthReadingBytes)) this.closing = true
    // Its end is that of the connection, so that one and the same bytes go to every caller, without a frame around them.
    if (live !== undefined) {
      this.closing = true
      res.removeHeader('transfer-encoding')
    }
    if (this.closing || this.site.draining()) {
      out.set('connection', 'close')
      endAfterThis(req.socket)
    }
    const isHead = req.method === 'HEAD'
    try {
      if (!(res instanceof Answering && res.writeText(out, this.site.clock.now())))
        res.writeHead(status, out.list as string[])
    } catch (error) {
      // A header of the handler's own that HTTP cannot carry: nothing has been written yet.
      out.discard()
      return this.fail(error)
    }
    if (live !== undefined || stream !== undefined) {
      this.#handOver()
      return live === undefined
        ? sendStream(stream!, res, (error) => this.#reportCut(error))
        : openLive(live, res, this.site)
    }
    if (unread && this.closing && body !== undefined) linger(req, res, body, this.site.clock)
    else if (body === undefined || isHead) res.end()
    // Pure ASCII (as many bytes as characters) needs no transcoding on its way out.
    else if (typeof body === 'string' && bytes === body.length) res.end(body, 'latin1')
    else res.end(body)
    if (!res.writableFinished) expectReader(req.socket, this.site.silenceMs)
    this.#account(status, isHead ? 0 : bytes, false)
  }

  #reportCut(error: Error): void {
    this.site.log.error({ err: error, request_id: this.id, route: this.route.template }, 'an answer was cut short')
  }

  /** The handler took Fastify's reply into its own hands: only keep the books. */
  #handOver(): void {
    this.answered = true
    this.#stopWaiting()
    const finish = (): void => {
      this.answered = false
      this.#account(this.res.statusCode, 0, !this.res.writableFinished)
    }
    if (this.res.closed || this.res.destroyed) return finish()
    if (!this.res.writableFinished) expectReader(this.req.socket, this.site.silenceMs)
    this.res.once('close', finish)
  }

  #stopWaiting(): void {
    if (!this.#waiting) return
    this.#waiting = false
    this.route.queue.remove(this)
  }

  #account(status: number, bytes: number, aborted: boolean): void {
    this.answered = true
    this.#stopWaiting()
    const { site, route, unit, req } = this
    const durationMs = site.clock.monotonic() - this.#begunAt
    site.meters.inFlight--
    settle(req.socket, this)
    unit.end()
    if (this.#extended !== undefined)
      for (const error of this.#extended.end(status))
        site.log.error({ err: error, request_id: this.id, route: route.template }, 'an end listener of a gate failed')
    route.meter.record(status, durationMs)
    site.sink.write(
      accessLine({
        now: this.#now,
        method: req.method ?? '',
        route: route.template,
        path: this.path,
        status,
        durationMs,
        bytes,
        ip: this.ip,
        requestId: this.id,
        actorId: unit.actor.id,
        tenantId: unit.tenantId,
        traceId: unit.trace?.traceId,
        aborted,
      }),
    )
  }
}
