import type { RedisWire, Reply } from '../driver.ts'

export interface ToldWire {
  readonly wire: RedisWire
  /** Questions without an answer yet, oldest first; a test settles them. */
  readonly waiting: PromiseWithResolvers<Reply>[]
}

/** A connection to a server that answers when it is told to. */
export function toldWire(): ToldWire {
  const waiting: PromiseWithResolvers<Reply>[] = []
  const wire: RedisWire = {
    ordered: true,
    send: () => {
      const pending = Promise.withResolvers<Reply>()
      waiting.push(pending)
      return pending.promise
    },
    subscribe: async () => {},
    unsubscribe: async () => {},
    destroy: () => waiting.splice(0).forEach(({ reject }) => reject(new Error('destroyed'))),
  }
  return { wire, waiting }
}
