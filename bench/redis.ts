import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from 'redis'

export interface RedisUnderTest {
  readonly url: string
  /** What answers, for the report. */
  readonly version: string
  remove(): Promise<void>
}

/** The server of `REDIS_URL` (its current database is emptied), or a `redis-server` that ends with the benchmark. */
export async function openRedis(): Promise<RedisUnderTest> {
  const given = process.env['REDIS_URL']
  if (given !== undefined) return { url: given, version: await emptied(given), remove: async () => {} }
  const port = await freePort()
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    {
      stdio: 'ignore',
    },
  )
  const url = `redis://127.0.0.1:${port}`
  const failed = once(child, 'exit').then(() => {
    throw new Error('redis-server did not start; install it, or set REDIS_URL')
  })
  failed.catch(() => {})
  const version = await Promise.race([failed, emptied(url)])
  return {
    url,
    version,
    remove: async () => {
      const ended = once(child, 'exit')
      child.kill()
      await ended
    },
  }
}

async function emptied(url: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const client = createClient({ url, socket: { reconnectStrategy: false } })
    client.on('error', () => {})
    try {
      await client.connect()
      await client.flushDb()
      const version = /redis_version:(\S+)/.exec(await client.info('server'))?.[1] ?? 'unknown'
      await client.close()
      return `Redis ${version}`
    } catch (error) {
      if (attempt === 100) throw error
      await sleep(50)
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
