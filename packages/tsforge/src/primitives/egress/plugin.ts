import type { Plugin } from '../../kernel/plugin.ts'
import { createEgress } from './create-egress.ts'
import { egressPort } from './egress.ts'
import type { Egress } from './egress.ts'
import { egressErrors } from './errors.ts'
import { egressOptions } from './options.ts'
import type { EgressOptions } from './options.ts'

/** Provides `egressPort`: calls to URLs that users gave. */
export function egress(): Plugin {
  const plugin: Plugin<EgressOptions, Record<never, never>, Egress> = {
    name: 'egress',
    options: egressOptions,
    provides: egressPort,
    errors: egressErrors,
    setup: ({ options, clock, metrics }) => {
      const results = metrics.counter('forge_egress_requests_total', {
        help: 'Calls to URLs of users, by how they ended',
        labelNames: ['result'],
      })
      const { proxy, ...rest } = options
      return createEgress({
        ...rest,
        ...(proxy !== undefined && { proxy: proxy.reveal() }),
        clock,
        onResult: (result) => results.add(1, { result }),
      })
    },
    stop: (service) => service.close(),
  }
  return plugin as unknown as Plugin
}
