import { createRequire } from 'node:module'
import { Server as NetServer } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fastify, { LogController } from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { createI18n } from '../kernel/i18n.ts'
import { Answering } from './answering.ts'
import { checkRoutes } from './check-routes.ts'
import { parseTrustedProxies } from './client-address.ts'
import { compileMissing, compileRoute } from './compiled-route.ts'
import { createCors } from './cors.ts'
import { Deadlines } from './deadlines.ts'
import { httpErrors } from './errors.ts'
import { docsRoutes } from './docs-page.ts'
import { Exchange } from './exchange.ts'
import { Incoming } from './incoming.ts'
import { Later } from './later.ts'
import { Meters } from './meters.ts'
import { missingRoutes } from './missing.ts'
import { answerValidator } from './openapi/answers.ts'
import type { SeenAnswer } from './openapi/answers.ts'
import { openApiDocument } from './openapi/document.ts'
import type { OpenApiDocument } from './openapi/document.ts'
import { parserErrors, refuse } from './parser-errors.ts'
import { pipeline } from './pipeline.ts'
import { Pressure } from './pressure.ts'
import { ProxyWatch } from './proxy-watch.ts'
import { isRequestId, newRequestId } from './request-id.ts'
import type { Route } from './route.ts'
import { routerOptions } from './router-options.ts'
import { apiPolicy, securityHeaders } from './security-headers.ts'
import type { HttpSettings, Site } from './site.ts'
import { abandonReceiving, inFlight } from './sockets.ts'
import { Validators } from './validation.ts'

/** A server with all its routes. */
export interface HttpServer {
  readonly fastify: FastifyInstance
  /** The OpenAPI 3.1 document of the routes. */
  document(): OpenApiDocument
  /** What does not fit the document in an answer that a test saw; an empty list when all does. */
  validateAnswer(answer: SeenAnswer): readonly string[]
  /** Resolves with the origin that it serves, e.g. `http://127.0.0.1:8080`. */
  listen(address?: { readonly host?: string; readonly port?: number }): Promise<string>
  /** Stops accepting, answers what is in flight, then resolves. Cuts what is left after `closeTimeoutMs`. */
  close(): Promise<void>
  /** A request without a socket, for tests. */
  readonly inject: FastifyInstance['inject']
}

/** Compiles `routes` into a server. Throws one error that names every fault of them. */
export async function createHttp(settings: HttpSettings, routes: readonly Route[]): Promise<HttpServer> {
  const { options } = settings
  let made: OpenApiDocument | undefined
  const document = (): OpenApiDocument => (made ??= openApiDocument(settings, routes))
  let text: string | undefined
  const all = options.docs
    ? [...routes, ...docsRoutes(settings.app.name, () => (text ??= JSON.stringify(document())))]
    : routes
  checkRoutes(settings, all)
  let closing = false
  const site = createSite(settings, all, () => closing)
  const app = createFastify(site)
  const { server } = app
  const sockets = new Set<Socket>()
  server.maxConnections = options.maxConnections
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      abandonReceiving(socket)
    })
  })
  refuseProtocols(site, app)

  const validators = new Validators()
  const rest: Later[] = []
  for (const route of all) {
    const later = new Later(`${route.method} ${route.url}`)
    rest.push(later)
    const method = route.method === 'GET' ? ['GET', 'HEAD'] : route.method
    try {
      app.route({
        method,
        url: route.url,
        exposeHeadRoute: false,
        handler: pipeline(site, compileRoute(site, validators, route, later)),
      })
    } catch (error) {
      throw new Error(`${route.method} ${route.url}: ${(error as Error).message}`, { cause: error })
    }
  }
  // Wherever somebody develops, a schema that cannot be compiled ends the start.
  if (settings.app.environment !== 'production') for (const later of rest) while (later.step());
  app.setNotFoundHandler(missingRoutes(site, all))
  await app.ready()
  let validateAnswer: ReturnType<typeof answerValidator> | undefined

  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    closing = true
    site.pressure.stop()
    for (const source of site.live) source.end()
    if (server.listening) await stopAccepting(server, sockets)
    const cut = site.clock.after(options.closeTimeoutMs, () => {
      for (const socket of sockets) socket.destroy()
    })
    await app.close()
    cut.cancel()
    site.deadlines.stop()
  }
  return {
    fastify: app,
    document,
    validateAnswer: (answer) => (validateAnswer ??= answerValidator(document()))(answer),
    inject: app.inject.bind(app) as FastifyInstance['inject'],
    listen: async ({ host = options.host, port = options.port } = {}) => {
      const address = await app.listen({ host, port })
      site.pressure.start(site.clock)
      compileInPieces(site, rest, () => closing)
      return address
    },
    close: () => (closed ??= close()),
  }
}

const idleAfterStartMs = 1000

/** Compiles what is left between the requests, so that hardly any of them has to wait for it. */
function compileInPieces(site: Site, rest: Later[], stopped: () => boolean): void {
  const next = (): void => {
    if (stopped()) return
    try {
      while (rest.length > 0 && !rest[0]!.step()) rest.shift()
    } catch (error) {
      site.log.error({ err: error }, 'a route cannot answer: its schema cannot be compiled')
    }
    if (rest.length > 0) setImmediate(next).unref()
  }
  // The first requests of a fresh process have waited for it already.
  site.clock.after(idleAfterStartMs, next)
}

/**
 * Stops listening, then lets two turns of the event loop read what callers had sent before, and closes the
 * connections that are idle: what was accepted gets its answer (with `connection: close`).
 */
async function stopAccepting(server: FastifyInstance['server'], sockets: ReadonlySet<Socket>): Promise<void> {
  // http.Server.close would destroy idle connections at once, together with requests that lie in their buffers.
  NetServer.prototype.close.call(server)
  for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
  for (const socket of sockets) if (inFlight(socket).length === 0) socket.destroySoon()
}

const require = createRequire(import.meta.url)

/** Our routes bring no schemas for Fastify; whoever adds some to it loads its compilers then. */
const compilersOfFastify = {
  buildValidator: (...given: unknown[]) => selector('@fastify/ajv-compiler')(...given),
  buildSerializer: (...given: unknown[]) => selector('@fastify/fast-json-stringify-compiler')(...given),
}

function selector(name: string): (...given: unknown[]) => unknown {
  const resolve = createRequire(require.resolve('fastify'))
  return (resolve(name) as () => (...given: unknown[]) => unknown)()
}

function createFastify(site: Site): FastifyInstance {
  const { options } = site
  const badTarget = compileMissing(site, '', () => undefined)
  const app = fastify({
    logger: false,
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestIdOf,
    requestIdHeader: false,
    return503OnClosing: false,
    exposeHeadRoutes: false,
    bodyLimit: options.bodyLimitBytes,
    requestTimeout: options.receiveTimeoutMs,
    schemaController: { compilersFactory: compilersOfFastify },
    keepAliveTimeout: options.keepAliveMs,
    maxRequestsPerSocket: options.maxRequestsPerSocket,
    routerOptions,
    http: {
      IncomingMessage: Incoming,
      ServerResponse: Answering,
      maxHeaderSize: options.headerLimitBytes,
      headersTimeout: Math.min(options.headersTimeoutMs, options.receiveTimeoutMs),
      connectionsCheckingInterval: 1000,
      // No stream life (four turns through the queue of ticks) for a body that was not announced.
      optimizeEmptyRequests: true,
      // Checked by the pipeline, which answers with the envelope.
      requireHostHeader: false,
      insecureHTTPParser: false,
    },
    clientErrorHandler: parserErrors(site),
    frameworkErrors: (error: Error & { code: string }, request: FastifyRequest, reply: FastifyReply) => {
      const code = error.code === 'FST_ERR_MAX_PARAM_LENGTH' ? 'http.target_too_long' : 'http.target_malformed'
      new Exchange(site, badTarget, request, reply).fail(httpErrors.error(code))
    },
  } as never) as unknown as FastifyInstance
  // The pipeline reads bodies itself, after it knows who is asking.
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
    app.addHttpMethod(method, { hasBody: false, overrideExisting: true })
  return app
}

function requestIdOf(req: IncomingMessage): string {
  const given = req.headers['x-request-id']
  return typeof given === 'string' && isRequestId(given) ? given : newRequestId()
}

const continues = new WeakSet<IncomingMessage>()

/** CONNECT, unknown expectations and `100 Continue`, which Node would answer by itself. */
function refuseProtocols(site: Site, app: FastifyInstance): void {
  const { server } = app
  const meter = site.meters.route('CONNECT', '')
  server.on('connect', (_req, socket) =>
    refuse(
      site,
      meter,
      socket as Socket,
      httpErrors.error('http.method_not_allowed', {
        meta: { method: 'CONNECT' },
        headers: { allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' },
      }),
      'CONNECT',
    ),
  )
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    continues.add(req)
    server.emit('request', req, res)
  })
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    res.shouldKeepAlive = false
    refuse(site, meter, req.socket, httpErrors.error('http.expectation_failed'), req.method)
  })
}

function createSite(settings: HttpSettings, routes: readonly Route[], closing: () => boolean): Site {
  const { options, app, clock } = settings
  const i18n = settings.i18n ?? createI18n()
  const { isDraining } = settings
  const authenticators = settings.authenticators ?? []
  const trusted = parseTrustedProxies(options.trustedProxies)
  return {
    app,
    options,
    clock,
    log: settings.log,
    sink: settings.sink,
    cors: createCors(options),
    trusted,
    proxies: new ProxyWatch(trusted, settings.log, settings.metrics),
    pressure: new Pressure(options),
    deadlines: new Deadlines(clock),
    meters: new Meters(settings.metrics),
    authenticators,
    tenantGate: settings.tenantGate,
    authorizer: settings.authorizer,
    gates: settings.gates ?? [],
    around: settings.around,
    challenge: challengeOf(settings),
    i18n,
    defaultLocale: i18n.negotiate(undefined),
    security: securityHeaders(
      apiPolicy,
      options.hsts === 'on' || (options.hsts === 'auto' && app.environment === 'production'),
    ),
    // Longer than anything legal takes.
    silenceMs:
      2 *
      Math.max(
        options.receiveTimeoutMs,
        options.keepAliveMs,
        options.requestTimeoutMs,
        ...routes.map((route) => route.limits?.timeoutMs ?? 0),
      ),
    live: new Set(),
    draining: () => closing() || (isDraining?.() ?? false),
    wantsContinue: (req) => continues.has(req),
  }
}

/** WWW-Authenticate (RFC 9110 section 11.6.1) with every HTTP scheme that the app knows. */
function challengeOf({ app, authenticators = [] }: HttpSettings): string {
  const schemes = new Set(
    authenticators.filter(({ scheme }) => scheme['type'] === 'http').map(({ scheme }) => String(scheme['scheme'])),
  )
  if (schemes.size === 0) schemes.add('bearer')
  const realm = app.name.replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '')
  return [...schemes].map((name) => `${name.slice(0, 1).toUpperCase()}${name.slice(1)} realm="${realm}"`).join(', ')
}
