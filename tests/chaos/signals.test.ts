import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually, launch } from '../e2e/product.ts'
import type { Exit, Product } from '../e2e/product.ts'
import { anyDatabase, arena, postmaster, randomness } from './arena.ts'
import type { Arena } from './arena.ts'
import { bare, caller } from './process.ts'

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
    await using product = await start({ FORGE_SHUTDOWN_TIMEOUT: '3s', FORGE_DRAIN_GRACE: '0' })
    using idle = await caller(product.url, 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
    await eventually(() => idle.said().includes('200 OK'))
    using silent = await caller(product.url)
    using halfHead = await caller(product.url, 'GET /healthz HTTP/1.1\r\nhost: x\r\nx-pa')
    using halfBody = await caller(
      product.url,
      'POST /naps HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{"ms"',
    )
    const naps = Promise.all(Array.from({ length: 5 }, () => product.ask('POST', '/naps', { body: { ms: 700 } })))
    await inFlight(product, 5)
    product.kill(signal)
    expect((await naps).map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect(await within(6000, product.exited)).toEqual(clean)
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
    expect(await within(6000, product.exited)).toEqual(clean)
    expect(await endless).not.toBe(200)
  })

  it('twice skips the grace period and finishes what was accepted', async () => {
    await using product = await start({ FORGE_DRAIN_GRACE: '10m' })
    const nap = product.ask('POST', '/naps', { body: { ms: 500 } })
    await inFlight(product, 1)
    product.kill(signal)
    await eventually(async () => (await product.ask('GET', '/readyz')).status === 503)
    product.kill(signal)
    expect((await nap).status).toBe(200)
    expect(await within(10_000, product.exited)).toEqual(clean)
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
      const exit = await within(15_000, app.exited).finally(() => clearTimeout(timer))
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
