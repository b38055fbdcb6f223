import { afterAll, beforeAll, expect, it } from 'vitest'
import { appFolder, eventually, launch } from './product.ts'
import type { AppFolder, Product } from './product.ts'

let folder: AppFolder
let product: Product
beforeAll(async () => {
  folder = await appFolder()
  product = await launch({ root: folder.root, env: { FORGE_RATELIMIT_ENFORCED: 'true', FORGE_RATELIMIT_PER_IP: '20' } })
})
afterAll(async () => {
  await product[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

it('refuses over a real socket what is too much, tells when to come back, and stays healthy', async () => {
  // Nobody is signed in: who is refused has cost no look at credentials.
  const answers = await Promise.all(Array.from({ length: 40 }, () => product.ask('GET', '/api/v1/auth/me')))
  const refused = answers.filter(({ status }) => status === 429)
  // One comes back every three seconds, and the machine may be slow.
  expect(refused.length).toBeGreaterThan(10)
  expect(refused.length).toBeLessThanOrEqual(20)
  for (const { headers, body } of refused) {
    expect(body.error.code).toBe('ratelimit.exceeded')
    expect(headers.get('ratelimit-policy')).toBe('"ip";q=20;w=60')
    expect(headers.get('ratelimit')).toBe(`"ip";r=0;t=${headers.get('retry-after')}`)
  }
  expect((await product.ask('GET', '/healthz')).status).toBe(200)
  expect((await product.ask('GET', '/readyz')).status).toBe(200)
})

it('is warned of in the log when a proxy stands in front that nobody named', async () => {
  for (let n = 0; n < 3; n++) await product.ask('GET', '/healthz', { headers: { 'x-forwarded-for': '192.0.2.1' } })
  const warnings = (): number => product.log().split('FORGE_HTTP_TRUSTED_PROXIES').length - 1
  await eventually(() => warnings() > 0)
  expect(warnings()).toBe(1)
})
