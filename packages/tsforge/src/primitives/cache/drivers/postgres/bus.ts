import { randomUUID } from 'node:crypto'
import { systemClock } from '../../../../kernel/clock.ts'
import type { Clock, Timer } from '../../../../kernel/clock.ts'
import type { Db } from '../../../db/index.ts'
import type { CacheBus, CacheChange } from '../../driver.ts'

const channel = 'forge_cache'
/** PostgreSQL takes payloads below 8000 bytes. */
const payloadBytes = 7000
const retryMs = 1000

/** Changes over NOTIFY: for memory where there is no Redis. */
export function postgresBus(db: Db, { clock = systemClock }: { readonly clock?: Clock } = {}): CacheBus {
  const origin = randomUUID().slice(0, 8)
  return {
    name: 'postgres notify',
    async publish(change) {
      for (const part of partsOf(change)) await db.notify(channel, `${origin}${JSON.stringify(part)}`)
    },
    subscribe: async (listener, onLost) => {
      const onNotify = (payload: string): void => {
        if (payload.slice(0, 8) !== origin) listener(JSON.parse(payload.slice(8)) as CacheChange)
      }
      let stop: (() => Promise<void>) | undefined
      let retry: Timer | undefined
      let over = false
      const listen = async (first: boolean): Promise<void> => {
        try {
          stop = await db.listen(channel, onNotify, () => onLost('restored'))
          if (over) await stop()
          else if (!first) onLost('restored')
        } catch {
          // Behind a pooler there is nothing to hear, ever.
          if (first) onLost('lost')
          if (!over && db.capabilities.listen) retry = clock.after(retryMs, () => void listen(false))
        }
      }
      await listen(true)
      return async () => {
        over = true
        retry?.cancel()
        await stop?.()
      }
    },
  }
}

/** As few messages as hold it. */
function partsOf(change: CacheChange): CacheChange[] {
  const { prefix, keys, tags } = change
  if (prefix === undefined || (keys === undefined && tags === undefined)) return [change]
  const parts: CacheChange[] = []
  for (const [name, list] of [
    ['keys', keys],
    ['tags', tags],
  ] as const) {
    let some: string[] = []
    let bytes = 0
    for (const item of list ?? []) {
      // JSON writes a character in at most six bytes for each of its own.
      const more = Buffer.byteLength(JSON.stringify(item)) + 1
      if (bytes + more > payloadBytes) {
        parts.push({ prefix, [name]: some })
        some = []
        bytes = 0
      }
      some.push(item)
      bytes += more
    }
    if (some.length > 0) parts.push({ prefix, [name]: some })
  }
  return parts
}
