import { describe, expect, it } from 'vitest'
import { loadOptions } from '../../../kernel/options.ts'
import { redisOptions } from '../options.ts'
import type { RedisOptions } from '../options.ts'

type Env = Readonly<Record<string, string>>

const load = (env: Env, environment: 'development' | 'production' = 'production'): RedisOptions =>
  (loadOptions({ redis: redisOptions }, { env, environment }) as { redis: RedisOptions }).redis

describe('REDIS_URL', () => {
  it('may be absent', () => {
    expect(load({})).toMatchObject({ url: undefined, deadlineMs: 500, connectMs: 2000 })
  })

  it.each([
    'redis://127.0.0.1:6379/2',
    'redis://localhost',
    'rediss://user:secret@cache.example.com:6380',
    'rediss://a.example.com,rediss://b.example.com:7000',
  ])('may be %s in production', (url) => {
    expect(load({ REDIS_URL: url }).url?.reveal()).toBe(url)
  })

  it.each([
    ['http://127.0.0.1', 'redis://'],
    ['redis://127.0.0.1/cache', 'number of a database'],
    ['redis://127.0.0.1,http://127.0.0.1', 'redis://'],
    ['redis://127.0.0.1/1,redis://127.0.0.1:7000/1', 'database 0'],
    ['redis://cache.example.com', 'without TLS'],
    ['rediss://a.example.com,redis://b.example.com', 'without TLS'],
  ])('may not be %s there', (url, reason) => {
    expect(() => load({ REDIS_URL: url })).toThrow(reason)
  })

  it('may lead elsewhere without TLS when somebody says that the network is trusted', () => {
    const env = { REDIS_URL: 'redis://cache.internal', FORGE_REDIS_PLAINTEXT_ALLOWED: 'true' }
    expect(load(env).url?.reveal()).toBe('redis://cache.internal')
  })

  it('never shows its password', () => {
    try {
      load({ REDIS_URL: 'redis://:hunter2@cache.example.com' })
      expect.unreachable()
    } catch (error) {
      expect(String(error)).not.toContain('hunter2')
    }
  })
})
