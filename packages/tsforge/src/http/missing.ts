import type { FastifyReply, FastifyRequest } from 'fastify'
import createRouter from 'find-my-way'
import type { HTTPMethod } from 'find-my-way'
import { noContent } from './answer.ts'
import { compileMissing } from './compiled-route.ts'
import type { CompiledRoute } from './compiled-route.ts'
import { httpErrors } from './errors.ts'
import { Exchange } from './exchange.ts'
import { checkFraming } from './pipeline.ts'
import { routerOptions } from './router-options.ts'
import type { Site } from './site.ts'
import { isBeyondLast } from './sockets.ts'

interface Address {
  readonly allow: string
  readonly route: CompiledRoute
}

/**
 * Answers requests that no route took: 404, 405 with Allow, OPTIONS and preflights. Knows the addresses by a
 * router of its own, so that method and address are told apart by the same matching rules.
 */
export function missingRoutes(
  site: Site,
  routes: readonly { readonly method: string; readonly url: string }[],
): (request: FastifyRequest, reply: FastifyReply) => void {
  const methods = new Map<string, Set<string>>()
  for (const { method, url } of routes) {
    const known = methods.get(url) ?? new Set<string>()
    if (method === 'GET') known.add('GET').add('HEAD')
    else known.add(method)
    methods.set(url, known.add('OPTIONS'))
  }
  const router = createRouter(routerOptions as never)
  const addresses = new Map<string, Address>()
  const ignore = (): void => {}
  for (const url of methods.keys()) {
    // One pattern may be written with different parameter names for different methods.
    const key = url.replace(/:[A-Za-z0-9_]+/g, ':')
    const same = [...methods]
      .filter(([other]) => other.replace(/:[A-Za-z0-9_]+/g, ':') === key)
      .flatMap(([, list]) => [...list])
    if (addresses.has(key)) continue
    const address: Address = { allow: [...new Set(same)].join(', '), route: compileMissing(site, url, () => undefined) }
    addresses.set(key, address)
    router.on('GET' as HTTPMethod, url, ignore, address)
  }
  const nowhere = compileMissing(site, '', () => undefined)

  return (request, reply) => {
    if (isBeyondLast(request.raw.socket)) return
    const { method = '', url = '' } = request.raw
    const address = url.startsWith('/')
      ? (router.find('GET' as HTTPMethod, url)?.store as Address | undefined)
      : undefined
    const exchange = new Exchange(site, address?.route ?? nowhere, request, reply)
    try {
      checkFraming(exchange)
      if (method === 'OPTIONS' && (address !== undefined || url === '*'))
        return exchange.succeed(options(exchange, address))
      if (address === undefined) throw httpErrors.error('http.not_found')
      throw httpErrors.error('http.method_not_allowed', { meta: { method }, headers: { allow: address.allow } })
    } catch (error) {
      exchange.fail(error)
    }
  }

  function options(exchange: Exchange, address: Address | undefined): unknown {
    const allow = address?.allow ?? 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'
    const { origin, 'access-control-request-method': wanted } = exchange.req.headers
    const preflight = origin === undefined || wanted === undefined ? undefined : site.cors.preflight(origin)
    if (preflight === undefined) return noContent({ headers: { allow } })
    const headers: Record<string, string> = {
      allow,
      'access-control-allow-methods': allow,
      vary: 'access-control-request-method, access-control-request-headers',
    }
    for (let at = 2; at < preflight.length; at += 2) headers[preflight[at]!] = preflight[at + 1]!
    return noContent({ headers })
  }
}
