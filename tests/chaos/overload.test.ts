import { expect, it, vi } from 'vitest'
import { eventually, launch } from '../e2e/product.ts'
import { arena } from './arena.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

it('a blocked event loop sheds what can wait and answers whether it lives, then recovers by itself', async () => {
  await using folder = arena()
  await using product = await launch({ root: folder.root, env: { FORGE_HTTP_SHED_DELAY: '200ms' } })
  const alive: number[] = []
  const refused: unknown[] = []
  await eventually(async () => {
    const spin = product.ask('POST', '/spins', { body: { ms: 600 } })
    const [health, ...others] = await Promise.all([
      product.ask('GET', '/healthz'),
      ...Array.from({ length: 4 }, () => product.ask('GET', '/entries')),
    ])
    await spin
    alive.push(health.status)
    for (const { status, headers, body } of others) {
      if (status !== 200)
        refused.push({ status, code: body.error.code, seconds: Number(headers.get('retry-after')) >= 1 })
    }
    return refused.length > 0
  })
  expect(new Set(refused.map((each) => JSON.stringify(each)))).toEqual(
    new Set([JSON.stringify({ status: 503, code: 'http.overloaded', seconds: true })]),
  )
  expect(new Set(alive)).toEqual(new Set([200]))
  await eventually(async () => (await product.ask('GET', '/entries')).status === 200, 120_000)
})
