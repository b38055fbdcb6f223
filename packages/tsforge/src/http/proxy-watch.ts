import type { IncomingMessage } from 'node:http'
import { BlockList, isIP } from 'node:net'
import type { Log } from '../kernel/log.ts'
import type { Counter, Metrics } from '../kernel/metrics.ts'
import { contains, plain } from './client-address.ts'
import type { TrustedProxies } from './client-address.ts'

/** Where proxies of one's own are found: RFC 1918, 6598, 3927, 4193, 4291 and the machine itself. */
const nearby = new BlockList()
for (const block of [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '169.254.0.0/16',
  '127.0.0.0/8',
]) {
  const [address = '', bits] = block.split('/')
  nearby.addSubnet(address, Number(bits), 'ipv4')
}
nearby.addSubnet('fc00::', 7, 'ipv6')
nearby.addSubnet('fe80::', 10, 'ipv6')
nearby.addAddress('::1', 'ipv6')

/**
 * Notices requests that do not fit FORGE_HTTP_TRUSTED_PROXIES. A setting that is wrong works quietly for weeks, with
 * all callers behind the proxy taken for one, or with callers who choose their own address.
 */
export class ProxyWatch {
  readonly #trusted: TrustedProxies
  readonly #log: Log
  readonly #misfits: Counter
  readonly #warned = new Set<string>()

  constructor(trusted: TrustedProxies, log: Log, metrics: Metrics) {
    this.#trusted = trusted
    this.#log = log
    this.#misfits = metrics.counter('http_forwarded_misfits_total', {
      help: 'Requests whose X-Forwarded-For does not fit the trusted proxies.',
      labelNames: ['reason'],
    })
  }

  /** For requests with an X-Forwarded-For; `ip` is what was made of it. */
  look(req: IncomingMessage, forwarded: string | string[], ip: string): void {
    const { hops, blocks } = this.#trusted
    if (hops > 0) {
      // Nothing tells a caller's own entry from a proxy's but the number of them.
      if (String(forwarded).split(',').length < hops)
        this.#misfit('short_chain', { hops }, 'X-Forwarded-For has fewer entries than FORGE_HTTP_TRUSTED_PROXIES says')
      return
    }
    const peer = plain(req.socket.remoteAddress ?? '')
    if (ip !== peer || isIP(peer) === 0 || (blocks !== undefined && contains(blocks, peer)) || !contains(nearby, peer))
      return
    this.#misfit(
      'untrusted_proxy',
      { peer },
      'X-Forwarded-For comes from a private address that FORGE_HTTP_TRUSTED_PROXIES does not name: all of its callers count as one',
    )
  }

  #misfit(reason: string, fields: Readonly<Record<string, unknown>>, message: string): void {
    this.#misfits.add(1, { reason })
    if (this.#warned.has(reason)) return
    this.#warned.add(reason)
    this.#log.warn(fields, message)
  }
}
