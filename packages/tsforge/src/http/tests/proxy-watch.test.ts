import { afterEach, describe, expect, it } from 'vitest'
import { route } from '../index.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'

afterEach(closeLabs)

const ping = route({
  method: 'GET',
  url: '/ping',
  id: 'ping',
  summary: 'Ping',
  access: 'public',
  data: Type.Object({}),
  handler: () => ({}),
})

describe('a proxy', () => {
  it('that nobody named is counted and warned of once', async () => {
    const cases: readonly [string[], Record<string, string>, string | undefined][] = [
      [[], { 'x-forwarded-for': '192.0.2.1' }, 'untrusted_proxy'],
      [['10.0.0.0/8'], { 'x-forwarded-for': '192.0.2.1' }, 'untrusted_proxy'],
      [['127.0.0.1'], { 'x-forwarded-for': '192.0.2.1' }, undefined],
      [['127.0.0.1'], { 'x-forwarded-for': 'unknown' }, undefined],
      [['1'], { 'x-forwarded-for': '192.0.2.1' }, undefined],
      [['2'], { 'x-forwarded-for': '192.0.2.1' }, 'short_chain'],
      [[], {}, undefined],
    ]
    for (const [trustedProxies, headers, reason] of cases) {
      const { http, logged, metrics } = await lab([ping], { options: { trustedProxies } })
      await http.inject({ url: '/ping', headers })
      await http.inject({ url: '/ping', headers })
      expect(logged).toHaveLength(reason === undefined ? 0 : 1)
      const counted = /http_forwarded_misfits_total\{reason="(\w+)"\} (\d+)/.exec(metrics.render())
      expect(counted?.slice(1)).toEqual(reason === undefined ? undefined : [reason, '2'])
    }
  })

  it('that comes from afar is no proxy of ours, whatever it claims', async () => {
    const { http, logged } = await lab([ping])
    await http.inject({ url: '/ping', headers: { 'x-forwarded-for': '10.0.0.1' }, remoteAddress: '203.0.113.9' })
    expect(logged).toEqual([])
    await http.inject({ url: '/ping', headers: { 'x-forwarded-for': '10.0.0.1' }, remoteAddress: '::ffff:172.17.0.1' })
    expect(logged).toHaveLength(1)
  })
})
