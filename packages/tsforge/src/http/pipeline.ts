import type { FastifyReply, FastifyRequest } from 'fastify'
import { runWithContext } from '../kernel/context.ts'
import { checkBodyHeaders, readBody } from './body.ts'
import type { CompiledRoute, TextInput } from './compiled-route.ts'
import { httpErrors } from './errors.ts'
import { Exchange } from './exchange.ts'
import type { Around } from './feature.ts'
import { pass } from './gates.ts'
import { guard } from './guard.ts'
import { parseJson } from './json.ts'
import { expectedVersion } from './precondition.ts'
import { malformedQuery } from './query.ts'
import type { Query } from './query.ts'
import type { Site } from './site.ts'
import { isBeyondLast } from './sockets.ts'
import { RouteCall } from './unit.ts'

/** The handler that Fastify calls for a route: the whole set, in one function. It always answers by itself. */
export function pipeline(site: Site, route: CompiledRoute): (request: FastifyRequest, reply: FastifyReply) => void {
  const open = route.body !== undefined && !route.guarded && route.arrival === undefined && route.admitted === undefined
  return (request, reply) => {
    if (isBeyondLast(request.raw.socket)) return
    const exchange = new Exchange(site, route, request, reply)
    try {
      checkRequest(exchange)
      // Nobody but us does anything before the body is there.
      if (open && exchange.hasBody) receive(exchange)
      else runWithContext(exchange.unit, enter, exchange)
    } catch (error) {
      exchange.fail(error)
    }
  }
}

/** What can be refused by looking at the headers alone. */
function checkRequest(exchange: Exchange): void {
  const { site, route, req, wanted } = exchange
  checkFraming(exchange)
  if (site.pressure.high && !route.vital) {
    site.meters.shed.add()
    throw httpErrors.error('http.overloaded', { retryAfterMs: 1000 + Math.random() * 4000 })
  }
  // `*/*`: what lies behind the address decides its type.
  if (
    route.mediaType !== '*/*' &&
    !(route.mediaType === 'application/json' ? wanted.json : wanted.accepts(route.mediaType))
  )
    throw httpErrors.error('http.not_acceptable')
  if (exchange.hasBody && req.method === 'GET') throw httpErrors.error('http.request_malformed')
}

/** Requests that two servers could read differently are refused, and the connection with them (RFC 9112 section 11.2). */
export function checkFraming(exchange: Exchange): void {
  const { req } = exchange
  const { rawHeaders } = req
  let hosts = 0
  let framings = 0
  let known = req.httpVersion === '1.1' || req.httpVersion === '1.0'
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]!
    if (name.length === 4 && name.toLowerCase() === 'host') hosts++
    else if (name.length === 14 && name.toLowerCase() === 'content-length') framings++
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      framings++
      known &&= rawHeaders[at + 1]!.toLowerCase() === 'chunked'
    }
  }
  if (!known || hosts > 1 || framings > 1 || (hosts === 0 && req.httpVersion === '1.1')) {
    exchange.closing = true
    throw httpErrors.error('http.request_malformed')
  }
  const url = req.url!
  if (url.charCodeAt(0) !== 0x2f && !(url === '*' && req.method === 'OPTIONS')) {
    exchange.closing = true
    throw httpErrors.error('http.target_malformed')
  }
}

function enter(exchange: Exchange): void {
  const { arrival } = exchange.route
  if (arrival === undefined) identify(exchange)
  else proceed(exchange, pass(arrival, exchange.extend()), identify)
}

function identify(exchange: Exchange): void {
  if (!exchange.route.guarded) admitted(exchange)
  else proceed(exchange, guard(exchange), admitted)
}

function admitted(exchange: Exchange): void {
  const gates = exchange.route.admitted
  if (gates === undefined) receive(exchange)
  else proceed(exchange, pass(gates, exchange.extend()), receive)
}

/** Goes on with `step`: now when nothing is pending. */
function proceed(exchange: Exchange, pending: void | Promise<void>, step: (exchange: Exchange) => void): void {
  if (pending === undefined) return step(exchange)
  exchange.wait()
  pending.then(
    () => attempt(exchange, step),
    (error: unknown) => exchange.fail(error),
  )
}

function attempt(exchange: Exchange, step: (exchange: Exchange) => void): void {
  if (exchange.answered) return
  // Nothing has happened yet: no reason to begin for a caller who has gone.
  if (exchange.res.destroyed) return exchange.abandon()
  try {
    step(exchange)
  } catch (error) {
    exchange.fail(error)
  }
}

/** Reads the body, if one may come, once the caller is known to be welcome. */
function receive(exchange: Exchange): void {
  const { route, req, site } = exchange
  if (route.body === undefined || !exchange.hasBody) {
    if (route.declared?.bodyStream === true && site.wantsContinue(req)) exchange.res.writeContinue()
    return invoke(exchange, undefined, 0)
  }
  checkBodyHeaders(req, route.bodyLimit)
  if (site.wantsContinue(req)) exchange.res.writeContinue()
  exchange.wait()
  exchange.receiving = true
  readBody(req, route.bodyLimit, new Receiver(exchange))
}

class Receiver {
  readonly exchange: Exchange

  constructor(exchange: Exchange) {
    this.exchange = exchange
  }

  body(bytes: Buffer): void {
    const { exchange } = this
    if (exchange.answered) return
    exchange.bodyRead = true
    if (exchange.route.around !== undefined) exchange.extend().bytes = bytes
    // The end of a body comes from outside of the request's context.
    runWithContext(exchange.unit, parseAndInvoke, exchange, bytes)
  }

  failed(error: Error): void {
    this.exchange.fail(error)
  }
}

function parseAndInvoke(exchange: Exchange, bytes: Buffer): void {
  try {
    if (bytes.length === 0) return invoke(exchange, undefined, 0)
    const { value, nodes } = parseJson(bytes, exchange.site.options)
    invoke(exchange, value, nodes)
  } catch (error) {
    exchange.fail(error)
  }
}

function invoke(exchange: Exchange, rawBody: unknown, nodes: number): void {
  const { route, request, unit } = exchange
  let body: unknown
  if (route.takesBody) body = route.body!.check(rawBody === undefined ? missing(exchange) : rawBody, unit.locale, nodes)
  else if (rawBody !== undefined) route.body!.check(rawBody, unit.locale, nodes)
  const params =
    route.params === undefined ? undefined : checkParams(route.params, request.params as Query, unit.locale)
  const query = route.query === undefined ? undefined : checkQuery(route.query, request.query as Query, unit.locale)
  if (isPromise(body) || isPromise(params) || isPromise(query)) {
    exchange.wait()
    Promise.all([params, query, body]).then(
      (parts) => attempt(exchange, () => call(exchange, ...parts)),
      (error: unknown) => exchange.fail(error),
    )
  } else call(exchange, params, query, body)
}

/** No body where one is declared counts as a body of the wrong form. */
function missing(exchange: Exchange): never {
  if (exchange.hasBody) throw httpErrors.error('http.body_malformed', { meta: { reason: 'empty' } })
  throw httpErrors.error('http.body_malformed', { meta: { reason: 'missing' } })
}

/** `/notes/` is another address than `/notes/:id`, although the router would take the empty part for an id. */
function checkParams(input: TextInput, params: Query, locale: string): unknown {
  for (const name in params) if (params[name] === '') throw httpErrors.error('http.not_found')
  return checkText(input, params, locale)
}

function checkQuery(input: TextInput, query: Query, locale: string): unknown {
  if (query === malformedQuery) throw httpErrors.error('http.target_malformed')
  return checkText(input, query, locale)
}

function checkText(input: TextInput, values: Query, locale: string): unknown {
  const { coercions, validator } = input
  for (const [name, coerce] of coercions) {
    const raw = values[name]
    if (raw !== undefined) (values as Record<string, unknown>)[name] = coerce(raw)
  }
  return validator.check(values, locale, 0)
}

function call(exchange: Exchange, params: unknown, query: unknown, body: unknown): void {
  const { route, req } = exchange
  const expected =
    route.precondition === undefined ? undefined : expectedVersion(route.precondition, req.headers['if-match'])
  const made = new RouteCall(exchange, params, query, body, expected)
  if (route.around !== undefined) return surround(exchange, route.around, made)
  exchange.begin()
  const result = route.handler(made)
  if (!isPromise(result)) return exchange.succeed(result)
  exchange.wait()
  result.then(
    (value) => exchange.succeed(value),
    (error: unknown) => exchange.fail(error),
  )
}

function surround(exchange: Exchange, around: Around, call: RouteCall): void {
  const extended = exchange.extend()
  extended.params = call.params
  extended.query = call.query
  extended.body = call.body
  exchange.wait()
  around(extended, () => exchange.run(call)).then(
    (answer) => {
      try {
        exchange.replay(answer)
      } catch (error) {
        exchange.fail(error)
      }
    },
    (error: unknown) => exchange.fail(error),
  )
}

function isPromise(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as PromiseLike<unknown> | null | undefined)?.then === 'function'
}
