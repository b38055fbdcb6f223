import { field } from '../../kernel/options.ts'
import type { OptionsSchema } from '../../kernel/options.ts'
import type { Secret } from '../../kernel/secret.ts'
import { blocks, isIn } from './addresses.ts'

export interface EgressOptions {
  readonly schemes: readonly string[]
  readonly ports: readonly number[]
  readonly allowedNetworks: readonly string[]
  readonly timeoutMs: number
  readonly responseBytes: number
  readonly proxy: Secret | undefined
}

/** Where metadata services and the machine itself live: nothing of theirs may be opened in production. */
const never = ['127.0.0.1', '::1', '169.254.169.254', '0.0.0.0', '168.63.129.16']
const local = blocks(['127.0.0.0/8', '0.0.0.0/8', '169.254.0.0/16', '168.63.129.16', '::1', '::', 'fe80::/10'])

export const egressOptions: OptionsSchema<EgressOptions> = {
  schemes: field.list('FORGE_EGRESS_SCHEMES', {
    doc: 'Schemes of URLs that users give: https, and http where it must be.',
    default: ['https'],
    check: (schemes) =>
      schemes.every((scheme) => scheme === 'https' || scheme === 'http') ? undefined : 'may name https and http only',
  }),
  ports: field.list<number>('FORGE_EGRESS_PORTS', {
    doc: 'Ports that may be called.',
    default: [443, 8443],
    item: (raw) => {
      const port = Number(raw)
      if (!/^\d{1,5}$/.test(raw) || port < 1 || port > 65_535) throw new Error('must be ports, 1 to 65535')
      return port
    },
  }),
  allowedNetworks: field.list('FORGE_EGRESS_ALLOWED_NETWORKS', {
    doc: 'CIDR blocks that may be called although they are not public.',
    default: [],
    check: (networks) => {
      try {
        blocks(networks)
        return undefined
      } catch (error) {
        return (error as Error).message
      }
    },
    production: (networks) => {
      const inside = networks.map((network) => network.split('/', 1)[0]!).find((address) => isIn(local, address))
      const open = inside ?? never.find((address) => isIn(blocks(networks), address))
      return open === undefined ? undefined : `opens ${open} to everybody who may name a URL`
    },
  }),
  timeoutMs: field.duration('FORGE_EGRESS_TIMEOUT', {
    doc: 'Longest call, from the name to the last byte of the answer.',
    default: '15s',
    min: '100ms',
    max: '5m',
  }),
  responseBytes: field.bytes('FORGE_EGRESS_RESPONSE_LIMIT', {
    doc: 'Longest body of an answer.',
    default: '1mb',
    max: '100mb',
  }),
  proxy: field.optional(
    field.secretUrl('FORGE_EGRESS_PROXY', {
      doc: 'Forward proxy for these calls. Names are still checked here; the proxy must refuse private addresses too.',
      example: 'http://egress.example.com:3128',
      protocols: ['http', 'https'],
    }),
  ),
}
