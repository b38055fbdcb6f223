import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freePort } from 'tsforge/testing/redis-server'
import { cheapHashes, login, register, someone } from './people.ts'
import { appFolder, eventually, launch } from './product.ts'
import type { Product } from './product.ts'

interface Fault {
  /** Whether the request was sent before the stop was asked for. */
  readonly early: boolean
  readonly reason: unknown
}

/** Keeps registering until told to stop; remembers who was told 201. */
function registrations(product: Product, callers: number) {
  const accepted: string[] = []
  const faults: Fault[] = []
  let asked = false
  let stopped = false
  const call = async (): Promise<void> => {
    while (!stopped) {
      const email = someone()
      const early = !asked
      try {
        const { status } = await register(product, email)
        if (status === 201) accepted.push(email)
        else if (status !== 503) faults.push({ early, reason: status })
      } catch (error) {
        faults.push({ early, reason: error })
        return
      }
    }
  }
  const done = Promise.all(Array.from({ length: callers }, call))
  return { accepted, faults, askToStop: () => void (asked = true), stop: () => ((stopped = true), done) }
}

describe('a process that is killed', () => {
  it('starts again at once on the same port with everything that it had acknowledged', async () => {
    await using folder = await appFolder()
    const env = { PORT: String(await freePort()), ...cheapHashes }
    let accepted: readonly string[]
    {
      await using product = await launch({ root: folder.root, env })
      expect(product.url).toBe(`http://127.0.0.1:${env.PORT}`)
      const load = registrations(product, 4)
      await eventually(() => load.accepted.length >= 20)
      product.kill('SIGKILL')
      await product.exited
      await load.stop()
      accepted = load.accepted
    }
    await using again = await launch({ root: folder.root, env })
    expect(again.url).toBe(`http://127.0.0.1:${env.PORT}`)
    for (const email of accepted) expect((await login(again, email)).status).toBe(200)
  })

  it('leaves its compiled code to the next start', async () => {
    await using folder = await appFolder()
    const cache = join(folder.root, 'compiled')
    await using product = await launch({ root: folder.root, env: { ...cheapHashes, NODE_COMPILE_CACHE: cache } })
    const files = async (): Promise<number> => (await readdir(cache, { recursive: true })).length
    await eventually(async () => (await files()) > 100)
    product.kill('SIGKILL')
    await product.exited
    expect(await files()).toBeGreaterThan(100)
  })
})

describe('SIGTERM under load', () => {
  it('answers what it has accepted, loses no write and ends with exit code 0', async () => {
    await using folder = await appFolder()
    await using product = await launch({ root: folder.root, env: { ...cheapHashes, FORGE_DRAIN_GRACE: '10m' } })
    const load = registrations(product, 6)
    await eventually(() => load.accepted.length >= 10)
    load.askToStop()
    product.kill('SIGTERM')
    // Not ready from now on, alive all the same, and still serving.
    await eventually(async () => (await product.ask('GET', '/readyz')).status === 503)
    expect((await product.ask('GET', '/healthz')).status).toBe(200)
    // The grace period has been long enough.
    product.kill('SIGTERM')
    expect(await product.exited).toEqual({ code: 0, signal: null })
    await load.stop()
    expect(load.faults.filter(({ early }) => early)).toEqual([])
    // Whoever comes after the end finds nobody.
    expect(load.faults.filter(({ reason }) => !isUnreachable(reason))).toEqual([])

    await using again = await launch({ root: folder.root, env: cheapHashes })
    for (const email of load.accepted) expect((await login(again, email)).status).toBe(200)
  })

  it('finishes the requests in flight even without a grace period', async () => {
    await using folder = await appFolder()
    // Hashes of a quarter of a second or more, so that all are in flight at once.
    const env = { FORGE_ACCOUNTS_HASH_MEMORY: '64mb', FORGE_ACCOUNTS_HASH_PASSES: '8', FORGE_DRAIN_GRACE: '0' }
    await using product = await launch({ root: folder.root, env })
    const hashes = async (): Promise<number> => {
      const text = await (await fetch(`${product.url}/metrics`)).text()
      const read = (name: string): number =>
        Number(new RegExp(`^forge_accounts_hashes_${name} (\\d+)`, 'm').exec(text)?.[1])
      return read('running') + read('waiting')
    }
    let inFlight: Promise<number[]>
    let met: boolean
    // Whoever looks too late, because the machine was busy, looks at the next ones.
    do {
      let over = false
      const asked = Array.from({ length: 6 }, () => register(product))
      inFlight = Promise.all(asked).then((answers) => answers.map(({ status }) => status))
      void inFlight.finally(() => (over = true)).catch(() => undefined)
      met = (await eventually(async () => ((await hashes()) === 6 ? 'met' : over && 'missed'))) === 'met'
    } while (!met)
    product.kill('SIGTERM')
    expect(await inFlight).toEqual(Array.from({ length: 6 }, () => 201))
    expect(await product.exited).toEqual({ code: 0, signal: null })
  })

  it('skips the grace period at the second signal', async () => {
    await using folder = await appFolder()
    await using product = await launch({ root: folder.root, env: { FORGE_DRAIN_GRACE: '10m' } })
    product.kill('SIGTERM')
    await eventually(async () => (await product.ask('GET', '/readyz')).status === 503)
    product.kill('SIGTERM')
    expect(await product.exited).toEqual({ code: 0, signal: null })
  })
})

describe('a port that is taken', () => {
  it('is told in one sentence, with exit code 1', async () => {
    await using folder = await appFolder()
    await using product = await launch({ root: folder.root })
    const port = new URL(product.url).port
    await expect(launch({ root: folder.root, env: { PORT: port } })).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is in use by another process.`,
    )
  })
})

/** Nobody listens any more, or stopped listening before it took the connection from the kernel. */
function isUnreachable(fault: unknown): boolean {
  const { cause } = fault as { cause?: { code?: string } }
  return ['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'].includes(cause?.code ?? '')
}
