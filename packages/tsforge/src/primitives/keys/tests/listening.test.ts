import { decodeProtectedHeader } from 'jose'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import type { Db } from '../../db/index.ts'
import type { RunningKeys } from '../create-keys.ts'
import { keyRotated } from '../events.ts'
import { eventually, replicasOf } from './database.ts'
import type { Replicas } from './database.ts'
import { options, replica } from './setup.ts'

const at = { type: 'at+jwt', ttlMs: 15 * 60_000 } as const
const kidOf = (token: string) => decodeProtectedHeader(token).kid

let database: Replicas
let db: Db
let clock: FakeClock
let running: RunningKeys[]

beforeAll(async () => {
  database = await replicasOf({ module: 'keys', directory: new URL('../migrations/', import.meta.url) })
  db = database.connect()
})
afterAll(() => database[Symbol.asyncDispose]())
beforeEach(async () => {
  await db.query('truncate forge_keys_signing_keys')
  clock = createFakeClock(Date.now())
  running = []
})
afterEach(() => Promise.all(running.map((keys) => keys.stop())))

async function started(on: Db = db): Promise<RunningKeys> {
  const keys = replica(on, clock)
  running.push(keys)
  await keys.start()
  return keys
}

/** The same database with another `listen`. */
function withListen(listen: Db['listen']): Db {
  return new Proxy(db, {
    get: (target, key) => {
      if (key === 'listen') return listen
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe('without notifications', () => {
  test('keys that cannot LISTEN start, and hear of a rotation by asking', async () => {
    const deaf = withListen(() => Promise.reject(new Error('the direct URL leads nowhere')))
    const [speaking, listening] = [await started(), await started(deaf)]
    const { active } = await speaking.rotate({ now: true })
    await clock.advance(options.refreshMs)
    await eventually(async () => expect(kidOf(await listening.sign({ sub: 'u' }, at))).toBe(active))
  })

  test('a stop that overtakes the start leaves no timer behind', async () => {
    const gate = Promise.withResolvers<void>()
    const slow = withListen(() => gate.promise.then(() => async () => {}))
    const keys = replica(slow, clock)
    const starting = keys.start()
    await eventually(async () => expect(keys.ready).toBe(true))
    await keys.stop()
    gate.resolve()
    await starting
    expect(clock.pending).toBe(0)
  })
})

test('a rotation in a transaction that is rolled back is told to nobody', async () => {
  const keys = await started()
  const told: unknown[] = []
  const hear = (message: unknown): void => void told.push(message)
  keyRotated.subscribe(hear)
  try {
    const undone = db.tx(async (tx) => {
      await keys.rotate({ now: true }, tx)
      throw new Error('undo')
    })
    await expect(undone).rejects.toThrow('undo')
    expect(told).toEqual([])
    await db.tx((tx) => keys.rotate({ now: true }, tx))
    expect(told).toHaveLength(1)
  } finally {
    keyRotated.unsubscribe(hear)
  }
})
