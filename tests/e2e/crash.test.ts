import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { login, register, someone } from './people.ts'
import { appFolder, eventually, launch } from './product.ts'
import type { Product } from './product.ts'

async function freePort(): Promise<string> {
  const server = createServer()
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as AddressInfo
  await new Promise((closed) => server.close(closed))
  return String(port)
}

/** Keeps registering until told to stop; remembers who was told 201. */
function registrations(product: Product, callers: number) {
  const accepted: string[] = []
  const broken: unknown[] = []
  let stopped = false
  const call = async (): Promise<void> => {
    while (!stopped) {
      const email = someone()
      try {
        const { status } = await register(product, email)
        if (status === 201) accepted.push(email)
        else if (status !== 503) broken.push(status)
      } catch (error) {
        if (stopped) return
        broken.push(error)
        return
      }
    }
  }
  const done = Promise.all(Array.from({ length: callers }, call))
  return { accepted, broken, stop: () => ((stopped = true), done) }
}

const cheapHashes = {
  FORGE_ACCOUNTS_HASH_MEMORY: '19mb',
  FORGE_ACCOUNTS_HASH_PASSES: '2',
  FORGE_ACCOUNTS_HASH_LANES: '1',
}

describe('a process that is killed', () => {
  it('starts again at once on the same port with everything that it had acknowledged', async () => {
    using folder = appFolder()
    const env = { PORT: await freePort(), ...cheapHashes }
    let accepted: readonly string[]
    {
      await using product = await launch({ root: folder.root, env })
      expect(product.url).toBe(`http://127.0.0.1:${env.PORT}`)
      const load = registrations(product, 4)
      await eventually(() => load.accepted.length >= 20, 60_000)
      product.kill('SIGKILL')
      await product.exited
      await load.stop()
      accepted = load.accepted
    }
    await using again = await launch({ root: folder.root, env })
    expect(again.url).toBe(`http://127.0.0.1:${env.PORT}`)
    for (const email of accepted) expect((await login(again, email)).status).toBe(200)
  })
})

describe('SIGTERM under load', () => {
  it('drops no request that was accepted, loses no write and ends with exit code 0', async () => {
    using folder = appFolder()
    await using product = await launch({ root: folder.root, env: { ...cheapHashes, FORGE_DRAIN_GRACE: '400ms' } })
    const load = registrations(product, 6)
    await eventually(() => load.accepted.length >= 10, 60_000)
    product.kill('SIGTERM')
    // Not ready from now on, alive all the same, and still serving.
    await eventually(async () => (await product.ask('GET', '/readyz')).status === 503)
    expect((await product.ask('GET', '/healthz')).status).toBe(200)
    expect(await product.exited).toEqual({ code: 0, signal: null })
    await load.stop()
    // What a caller sends after the end is refused by the kernel; nothing may break in the middle.
    expect(load.broken.filter((fault) => !refused(fault))).toEqual([])

    await using again = await launch({ root: folder.root, env: cheapHashes })
    for (const email of load.accepted) expect((await login(again, email)).status).toBe(200)
  })

  it('skips the grace period at the second signal', async () => {
    using folder = appFolder()
    await using product = await launch({ root: folder.root, env: { FORGE_DRAIN_GRACE: '10m' } })
    product.kill('SIGTERM')
    await eventually(async () => (await product.ask('GET', '/readyz')).status === 503)
    product.kill('SIGTERM')
    expect(await product.exited).toEqual({ code: 0, signal: null })
  })
})

describe('a port that is taken', () => {
  it('is told in one sentence, with exit code 1', async () => {
    using folder = appFolder()
    await using product = await launch({ root: folder.root })
    const port = new URL(product.url).port
    await expect(launch({ root: folder.root, env: { PORT: port } })).rejects.toThrow(
      `Port ${port} on 127.0.0.1 is in use by another process.`,
    )
  })
})

/** The connection could not be made at all, or an idle one was closed before the request was read. */
function refused(fault: unknown): boolean {
  const { cause } = fault as { cause?: { code?: string } }
  return cause?.code === 'ECONNREFUSED'
}
