import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cheapHashes, login, register, someone } from './people.ts'
import { appFolder, launch } from './product.ts'
import type { AppFolder, Product, Reply } from './product.ts'

let folder: AppFolder
let one: Product
let two: Product
beforeAll(async () => {
  folder = await appFolder()
  const plans = join(folder.root, 'plans.ts')
  writeFileSync(plans, readFileSync(plans, 'utf8').replace('limit: 10_000', 'limit: 20'))
  one = await launch({ root: folder.root, env: cheapHashes })
  two = await launch({ root: folder.root, env: cheapHashes })
})
afterAll(async () => {
  await two[Symbol.asyncDispose]()
  await one[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

interface Usage {
  readonly quotas: readonly { readonly limits: readonly { readonly used: number; readonly remaining: number }[] }[]
}

let title = 0
const write = (product: Product, token: string): Promise<Reply<{ id: string }>> =>
  product.ask('POST', '/api/v1/notes', { token, body: { title: `Note ${++title}`, body: '' } })
const used = async (product: Product, token: string): Promise<number> =>
  (await product.ask<Usage>('GET', '/api/v1/quota/usage', { token })).body.data.quotas[0]!.limits[0]!.used

describe('a quota over two processes', () => {
  it('gives fifty at once exactly as many as it has, and nobody else less', async () => {
    const { access_token: token } = (await register(one)).body.data.tokens
    const { access_token: other } = (await register(two)).body.data.tokens
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => write(n % 2 === 0 ? one : two, token)))
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(20)
    const refused = answers.filter(({ status }) => status !== 201)
    expect(new Set(refused.map(({ status, body }) => `${status} ${body.error.code}`))).toEqual(
      new Set(['429 quota.exceeded']),
    )
    for (const { headers } of refused) expect(headers.get('ratelimit')).toMatch(/"notes\.created-month";r=0;t=\d+/)
    expect(await used(one, token)).toBe(20)
    expect(await used(two, token)).toBe(20)
    expect((await write(one, other)).status).toBe(201)
  })

  it('is not forgotten by a process that is killed', async () => {
    const email = someone()
    const { access_token: token } = (await register(one, email)).body.data.tokens
    const before = await Promise.all(Array.from({ length: 12 }, () => write(two, token)))
    expect(before.every(({ status }) => status === 201)).toBe(true)
    two.kill('SIGKILL')
    await two.exited
    two = await launch({ root: folder.root, env: cheapHashes })
    const again = (await login(two, email)).body.data.tokens.access_token
    expect(await used(two, again)).toBe(12)
    const after = await Promise.all(Array.from({ length: 12 }, (_, n) => write(n % 2 === 0 ? one : two, again)))
    expect(after.filter(({ status }) => status === 201)).toHaveLength(8)
  })
})
