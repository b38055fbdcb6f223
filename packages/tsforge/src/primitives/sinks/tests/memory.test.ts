import { sinkContract } from '../contract.ts'
import { memory } from '../drivers/memory.ts'
import type { SinkMessage } from '../driver.ts'

sinkContract({
  name: 'memory',
  without: ['crash'],
  create: async () => {
    const kept: SinkMessage[] = []
    return {
      driver: () => {
        const driver = memory({ refuse: ({ to }) => (to === 'refused' ? new Error('refused') : undefined) })
        return {
          ...driver,
          send: async (messages, signal) => {
            const outcomes = await driver.send(messages, signal)
            kept.push(...messages.filter((_, at) => outcomes[at] === 'confirmed'))
            return outcomes
          },
        }
      },
      addresses: ['orders', 'others'],
      refused: 'refused',
      stored: async () => kept.map((message) => ({ ...message, body: message.body.toString() })),
      [Symbol.asyncDispose]: async () => undefined,
    }
  },
})
