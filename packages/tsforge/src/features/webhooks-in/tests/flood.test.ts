import { request } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import { defineLimit, ratelimit } from '../../../primitives/ratelimit/index.ts'
import { idempotency } from '../../idempotency/index.ts'
import * as signatures from '../../../primitives/signatures/index.ts'
import { newStandardSecret } from '../../../primitives/signatures/index.ts'
import { webhooksIn } from '../plugin.ts'
import { standard } from '../verifiers.ts'
import { webhooksInPort } from '../webhooks-in.ts'
import { sender, signed } from './setup.ts'

const secret = newStandardSecret()
const source = { name: 'orders', verifier: standard(), secrets: [secret], bodyBytes: 1000, handler: () => {} }

let app: TestApp
let origin: URL
beforeAll(async () => {
  app = await createTestApp({ features: [webhooksIn({ sources: [source] })] })
  origin = new URL(await app.http.listen({ host: '127.0.0.1', port: 0 }))
})
afterAll(() => app?.[Symbol.asyncDispose]())

it('a sender who goes away in the middle of a body leaves nothing, and the next one is served', async () => {
  const body = '{"type":"order.placed"}'
  const headers = signed(app, signatures.standard, secret, body)
  const url = new URL('/api/v1/hooks/orders', origin)
  await new Promise<void>((done) => {
    const half = request(url, { method: 'POST', headers: { ...headers, 'content-length': body.length } })
    half.on('error', () => done())
    half.write(body.slice(0, 10), () => half.destroy())
  })
  const answer = await fetch(url, { method: 'POST', headers, body })
  expect([answer.status, await answer.json()]).toEqual([202, { status: 'accepted' }])
  expect((await app.get(webhooksInPort).list()).items).toHaveLength(1)
  expect(app.logged.filter(({ level }) => Number(level) >= 50)).toEqual([])
})

it('a body that never ends is refused as soon as it is too long, and the answer arrives', async () => {
  const status = await new Promise<number>((done, fail) => {
    const endless = request(new URL('/api/v1/hooks/orders', origin), { method: 'POST' }, (answer) => {
      answer.resume()
      done(answer.statusCode!)
    })
    endless.on('error', fail)
    endless.write('x'.repeat(800))
    endless.write('x'.repeat(800))
  })
  expect(status).toBe(413)
})

it('the limit `hooks` counts what comes, right or wrong, and an app may set it', async () => {
  const hooks = defineLimit({ name: 'hooks', key: 'ip', limit: 3, window: '1m' })
  await using limited = await createTestApp({
    features: [ratelimit({ limits: [hooks] }), webhooksIn({ sources: [source] })],
    env: { FORGE_RATELIMIT_ENFORCED: 'true' },
  })
  const send = sender(limited)
  const statuses = []
  for (let n = 0; n < 5; n++)
    statuses.push(
      (await send('orders', '{}', n === 0 ? {} : signed(limited, signatures.standard, secret, '{}'))).status,
    )
  expect(statuses).toEqual([401, 202, 202, 429, 429])
})

it('an Idempotency-Key that a sender sends with everything is not looked at', async () => {
  await using keyed = await createTestApp({ features: [idempotency(), webhooksIn({ sources: [source] })] })
  const body = '{"type":"order.placed"}'
  const statuses = []
  for (const key of ['evt_1', 'evt_1', 'not even, a "key"']) {
    const id = `msg ${statuses.length}`.replace(' ', '_')
    const headers = { ...signed(keyed, signatures.standard, secret, body, { id }), 'idempotency-key': key }
    const { status, body: told } = await sender(keyed)('orders', body, headers)
    statuses.push([status, told['status']])
  }
  expect(statuses).toEqual([202, 202, 202].map((status) => [status, 'accepted']))
  const { paths } = keyed.http.document() as { paths: Record<string, { post: { parameters: unknown[] } }> }
  expect(JSON.stringify(paths['/api/v1/hooks/{source}']!.post)).not.toMatch(/idempotency/i)
})
