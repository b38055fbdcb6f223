import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort, hasRedis, startRedis } from '../../../testing/redis-server.ts'
import type { RedisServer } from '../../../testing/redis-server.ts'
import { createRedis } from '../create-redis.ts'

/** How long a busy machine may take; nothing waits for it. */
const patient = { deadlineMs: 20_000, connectMs: 20_000 }

describe.runIf(hasRedis)('Redis over TLS', () => {
  let dir: string
  let server: RedisServer
  let port: number
  let ca: Buffer

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'forge-tls-'))
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
    const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...names], {
      stdio: 'ignore',
    })
    ca = readFileSync(cert)
    port = await freePort()
    const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert]
    server = await startRedis({ args: ['--tls-port', String(port), '--tls-auth-clients', 'no', ...files] })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true, force: true })
  })

  it('serves commands and messages', async () => {
    const redis = createRedis({ url: `rediss://localhost:${port}`, tls: { ca }, ...patient })
    expect(await redis.command(['PING'])).toBe('PONG')
    const heard: string[] = []
    await redis.subscribe('news', (message) => heard.push(message))
    await redis.command(['PUBLISH', 'news', 'a'])
    await expect.poll(() => heard).toEqual(['a'])
    await redis.close()
  })

  it.each([
    ['a certificate that nobody vouches for', 'rediss://localhost', false],
    ['a certificate of another name', 'rediss://127.0.0.1', true],
  ])('refuses %s', async (_, url, trusted) => {
    const redis = createRedis({ url: `${url}:${port}`, ...(trusted && { tls: { ca } }), ...patient })
    await expect(redis.command(['PING'])).rejects.toMatchObject({ code: 'redis.unavailable' })
    await redis.close()
  })
})
