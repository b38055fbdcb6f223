import type { BlockList } from 'node:net'
import type { Dispatcher } from 'undici'
import type { Clock } from '../../kernel/clock.ts'
import { ForgeError } from '../../kernel/errors.ts'
import { isAbort, resilienceErrors, withTimeout } from '../../kernel/resilience/index.ts'
import { blocks } from './addresses.ts'
import { readBody } from './body.ts'
import { addressesOf, systemDial, systemResolve } from './dial.ts'
import type { Dial, Resolve } from './dial.ts'
import type { Egress, EgressRequest, EgressResponse } from './egress.ts'
import { egressErrors } from './errors.ts'
import { egressRefusedChannel } from './events.ts'
import type { EgressRefused } from './events.ts'
import { sentHeaders } from './headers.ts'
import { createLines } from './lines.ts'
import { readTarget } from './target.ts'
import type { Target } from './target.ts'

export interface EgressSettings {
  /** Default `['https']`. */
  readonly schemes?: readonly string[]
  /** Default 443 and 8443. */
  readonly ports?: readonly number[]
  /** CIDR blocks that may be called although they are not public. Default none. */
  readonly allowedNetworks?: readonly string[]
  /** Default 15 s. */
  readonly timeoutMs?: number
  /** Default 1 MiB. */
  readonly responseBytes?: number
  /** Forward proxy, `http://user:password@host:port`. */
  readonly proxy?: string
  readonly clock: Clock
  readonly resolve?: Resolve
  readonly dial?: Dial
  /** Told how each call ended: `answered`, or the code of the error. */
  readonly onResult?: (result: string) => void
}

interface Rules {
  readonly schemes: readonly string[]
  readonly ports: readonly number[]
  readonly allowed: BlockList
}

/** @throws when a network or the proxy is malformed. */
export function createEgress(settings: EgressSettings): Egress {
  const { clock, resolve = systemResolve, dial = systemDial, timeoutMs = 15_000, onResult = () => {} } = settings
  const rules: Rules = {
    schemes: settings.schemes ?? ['https'],
    ports: settings.ports ?? [443, 8443],
    allowed: blocks(settings.allowedNetworks ?? []),
  }
  const lines = createLines({ clock, proxy: settings.proxy, resolve, dial, allowed: rules.allowed })

  const refuseOr = async <T>(host: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      if (egressErrors.is(error) && error.status === 422 && egressRefusedChannel.hasSubscribers)
        egressRefusedChannel.publish({ code: error.code, host } satisfies EgressRefused)
      throw error
    }
  }

  const look = async (target: Target): Promise<void> => {
    try {
      await addressesOf(target.host, resolve, rules.allowed)
    } catch (error) {
      // Behind a proxy this machine may know no names at all; the proxy looks then.
      if (settings.proxy === undefined || !egressErrors.is(error, 'egress.unresolvable')) throw error
    }
  }

  const call = async (target: Target, request: EgressRequest, signal: AbortSignal): Promise<EgressResponse> => {
    const begun = clock.monotonic()
    if (settings.proxy !== undefined) await look(target)
    const line = await lines.open(target, request.certificate)
    const answer = await line.dispatcher.request({
      origin: target.url.origin,
      path: target.url.pathname + target.url.search,
      method: (request.method ?? 'GET') as Dispatcher.HttpMethod,
      headers: sentHeaders(request.headers),
      ...(request.body !== undefined && { body: request.body }),
      signal,
      // One limit for the whole call: ours.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const limit = request.responseBytes ?? settings.responseBytes ?? 1024 * 1024
    const { body, clipped } = await readBody(answer.body, limit, request.overflow === 'clip')
    return {
      status: answer.statusCode,
      headers: Object.fromEntries(
        Object.entries(answer.headers).map(([name, value]) => [
          name,
          Array.isArray(value) ? value.join(', ') : (value ?? ''),
        ]),
      ),
      body,
      clipped,
      address: line.address(),
      durationMs: clock.monotonic() - begun,
    }
  }

  return {
    check: (url) => readTarget(url, rules).url,
    async verify(url) {
      const target = readTarget(url, rules)
      await refuseOr(target.host, () => look(target))
      return target.url
    },
    async fetch(url, request = {}) {
      try {
        const target = readTarget(url, rules)
        const answer = await refuseOr(target.host, () =>
          withTimeout((signal) => call(target, request, signal), {
            clock,
            ms: request.timeoutMs ?? timeoutMs,
            signal: request.signal,
          }).catch((error: unknown) => {
            throw faultOf(error, request.signal)
          }),
        )
        onResult('answered')
        return answer
      } catch (error) {
        onResult(error instanceof ForgeError ? error.code : 'aborted')
        throw error
      }
    },
    close: () => lines.close(),
  }
}

/** Undici wraps nothing: what the connector threw comes out, and the rest is a connection that failed. */
function faultOf(error: unknown, own: AbortSignal | undefined): unknown {
  if (own?.aborted === true && isAbort(error, own)) return own.reason
  if (resilienceErrors.is(error, 'resilience.timeout')) return egressErrors.error('egress.timeout')
  if (error instanceof ForgeError) return error
  return egressErrors.error('egress.connection_failed', { cause: error })
}
