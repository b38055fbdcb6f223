import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { eventually, launch } from '../e2e/product.ts'
import type { Exit, Product } from '../e2e/product.ts'
import { anyDatabase, arena, postmaster, randomness, witness } from './arena.ts'
import type { Arena } from './arena.ts'
import { bare, caller } from './process.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

let folder: Arena
let database: Awaited<ReturnType<typeof anyDatabase>>
beforeAll(async () => {
  folder = arena()
  database = await anyDatabase()
})
afterAll(async () => {
  await database[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const start = (env: Readonly<Record<string, string>>): Promise<Product> =>
  launch({ root: folder.root, env: { DATABASE_URL: database.url, ...env } })

const clean: Exit = { code: 0, signal: null }

/** Holds back whoever writes to `locked` until it is told to let go: what is in flight is so for as long as a test wants. */
async function gate(): Promise<AsyncDisposable & { open(): Promise<void> }> {
  const db = witness(database.url)
  const session = await db.connect()
  await session.query('begin; lock table locked in share mode')
  let open: Promise<void> | undefined
  const letGo = async (): Promise<void> => {
    await session.query('rollback')
    session.release()
    await db.close()
  }
  return { open: () => (open ??= letGo()), [Symbol.asyncDispose]: () => (open ??= letGo()) }
}

const patient = {
  DATABASE_LOCK_TIMEOUT: '60s',
  DATABASE_STATEMENT_TIMEOUT: '60s',
  FORGE_HTTP_SHED_DELAY: '30s',
}
const write = async (product: Product): Promise<number> =>
  (await product.ask('POST', '/locked', { body: { id: randomUUID() } })).status

/** The signal has arrived: nobody new is let in. */
async function leaving(product: Product): Promise<void> {
  await eventually(() =>
    product.ask('GET', '/readyz').then(
      ({ status }) => status === 503,
      () => true,
    ),
  )
}

/** Fails when the process does not end within the bound that its settings promise. */
function within(ms: number, exited: Promise<Exit>): Promise<Exit> {
  let ended: Exit | undefined
  void exited.then((exit) => (ended = exit))
  return eventually(() => ended, ms)
}

async function inFlight(product: Product, count: number): Promise<void> {
  await eventually(async () => {
    const text = await (await fetch(`${product.url}/metrics`)).text()
    // The question itself is one of them.
    return Number(/^http_requests_in_flight(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1]) > count
  })
}

describe.each(['SIGTERM', 'SIGINT'] as const)('%s', (signal) => {
  it('with slow requests, idle and half-sent ones: answers what was accepted and ends in time', async () => {
    await using product = await start({ FORGE_SHUTDOWN_TIMEOUT: '16s', FORGE_DRAIN_GRACE: '0', ...patient })
    using idle = await caller(product.url, 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    await eventually(() => idle.said().includes('200 OK'))
    using silent = await caller(product.url)
    using halfHead = await caller(product.url, 'GET /healthz HTTP/1.1\r\nhost: x\r\nx-pa')
    using halfBody = await caller(
      product.url,
      'POST /naps HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"ms"',
    )
    await using closed = await gate()
    const writes = Promise.all(Array.from({ length: 5 }, () => write(product)))
    await inFlight(product, 5)
    product.kill(signal)
    await leaving(product)
    await closed.open()
    expect(await writes).toEqual([200, 200, 200, 200, 200])
    expect(await within(40_000, product.exited)).toEqual(clean)
    await Promise.all([idle, silent, halfHead, halfBody].map(({ closed }) => closed))
  })

  it('cuts off what outlasts the bound, and still ends with 0', async () => {
    await using product = await start({ FORGE_SHUTDOWN_TIMEOUT: '2500ms', FORGE_DRAIN_GRACE: '0' })
    const endless = product.ask('POST', '/naps', { body: { ms: 600_000 } }).then(
      ({ status }) => status,
      () => 'cut',
    )
    await inFlight(product, 1)
    product.kill(signal)
    expect(await within(30_000, product.exited)).toEqual(clean)
    expect(await endless).not.toBe(200)
  })

  it('twice skips the grace period and finishes what was accepted', async () => {
    await using product = await start({ FORGE_DRAIN_GRACE: '10m', ...patient })
    await using closed = await gate()
    const written = write(product)
    await inFlight(product, 1)
    product.kill(signal)
    await leaving(product)
    product.kill(signal)
    await closed.open()
    expect(await written).toBe(200)
    expect(await within(40_000, product.exited)).toEqual(clean)
  })
})

describe('a signal during the start', () => {
  it('ends it cleanly at any moment, leaves no database behind and no obstacle for the next', async () => {
    const random = randomness()
    await using folder = arena()
    for (let round = 0; round < 4; round++) {
      await using app = bare(folder.root, { args: ['--json'] })
      const signal = random() < 0.5 ? 'SIGTERM' : 'SIGINT'
      const timer = setTimeout(() => app.child.kill(signal), random() * 1200)
      const exit = await within(40_000, app.exited).finally(() => clearTimeout(timer))
      // Before the app exists there is nobody to stop it but the system itself.
      expect([clean, { code: null, signal }], app.output()).toContainEqual(exit)
      await eventually(() => Number.isNaN(postmaster(folder.root).pid) || !alive(postmaster(folder.root).pid))
    }
    await using product = await launch({ root: folder.root })
    expect((await product.ask('GET', '/readyz')).status).toBe(200)
  })
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
