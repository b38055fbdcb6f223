import { createHash } from 'node:crypto'
import { equalBytes } from '../kernel/secret.ts'
import { Type } from 'typebox'
import { route } from '../http/route.ts'
import type { Call, Route } from '../http/route.ts'
import { httpErrors } from '../http/errors.ts'
import type { Metrics } from '../kernel/metrics.ts'
import { hostErrors } from './errors.ts'

/** What a proxy adds: such a request only looks as if it came from this machine. */
const forwarding = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-real-ip',
  'via',
  'cf-connecting-ip',
  'true-client-ip',
]

/**
 * How direct callers name this machine. A browser on it sends the name of its page instead, when that one's owner
 * has let it point here (DNS rebinding).
 */
const localName = /^(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

/**
 * `GET /metrics` for Prometheus. With a token, only for its bearer. Without one it is open to direct callers on
 * this machine (to no page in a browser), and absent in production, where a local proxy would make everybody look local.
 */
export function metricsRoutes(metrics: Metrics, token: string | undefined, production: boolean): readonly Route[] {
  if (token === undefined && production) return []
  const expected = token === undefined ? undefined : digest(token)
  return [
    route({
      method: 'GET',
      url: '/metrics',
      id: 'getMetrics',
      summary: 'Metrics in the Prometheus text format',
      tags: ['operations'],
      access: 'public',
      vital: true,
      etag: false,
      hidden: true,
      plain: { contentType: 'text/plain; version=0.0.4; charset=utf-8' },
      data: Type.String(),
      errors: ['host.metrics_unauthorized'],
      handler: (call) => {
        if (expected === undefined) {
          if (!isDirectLocal(call)) throw httpErrors.error('http.not_found')
        } else if (!equalBytes(expected, digest(bearer(call.header('authorization'))))) {
          throw hostErrors.error('host.metrics_unauthorized', {
            headers: { 'www-authenticate': 'Bearer realm="metrics"' },
          })
        }
        return metrics.render()
      },
    }),
  ]
}

/** Of one length, whatever was sent. */
function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function bearer(header: string | undefined): string {
  const match = /^bearer +(\S+)$/i.exec(header ?? '')
  return match?.[1] ?? ''
}

function isDirectLocal(call: Pick<Call, 'raw' | 'header'>): boolean {
  const peer = call.raw.request.socket.remoteAddress ?? ''
  const local = peer === '::1' || /^(?:::ffff:)?127\./.test(peer)
  return (
    local &&
    localName.test(call.header('host') ?? '') &&
    call.header('origin') === undefined &&
    forwarding.every((name) => call.header(name) === undefined)
  )
}
