import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cheapHashes, register, someone, password } from './people.ts'
import type { Welcome } from './people.ts'
import { appFolder, eventually, launch } from './product.ts'
import type { AppFolder, Product, Reply } from './product.ts'

interface Note {
  readonly id: string
  readonly title: string
}

let folder: AppFolder
let one: Product
let two: Product
beforeAll(async () => {
  folder = await appFolder()
  one = await launch({ root: folder.root, env: cheapHashes })
  two = await launch({ root: folder.root, env: cheapHashes })
})
afterAll(async () => {
  await two[Symbol.asyncDispose]()
  await one[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

interface Writer {
  readonly token: string
  readonly tenant?: string
}
const write = (product: Product, { token, tenant }: Writer, key: string, title: string): Promise<Reply<Note>> =>
  product.ask('POST', '/api/v1/notes', {
    token,
    body: { title, body: 'text' },
    headers: { 'idempotency-key': key, ...(tenant !== undefined && { 'x-tenant-id': tenant }) },
  })
const titles = async (product: Product, { token, tenant }: Writer): Promise<string[]> => {
  const { body } = await product.ask<{ items: Note[] }>('GET', '/api/v1/notes?limit=100', {
    token,
    headers: tenant === undefined ? {} : { 'x-tenant-id': tenant },
  })
  return body.data.items.map(({ title }) => title)
}
const newcomer = async (): Promise<Writer> => ({
  token: (await register(one, someone())).body.data.tokens.access_token,
})

describe('a note that is written again with its Idempotency-Key', () => {
  it('is one note, however many ask for it on two processes at once', async () => {
    const ada = await newcomer()
    const key = randomUUID()
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => write(i % 2 === 0 ? one : two, ada, key, 'Once')),
    )
    expect(await titles(one, ada)).toEqual(['Once'])
    const good = answers.filter(({ status }) => status === 201)
    expect(new Set(good.map(({ body }) => JSON.stringify(body))).size).toBe(1)
    for (const { status, headers } of answers.filter((answer) => !good.includes(answer)))
      expect([status, headers.get('retry-after')]).toEqual([409, '1'])
    const again = await write(two, ada, key, 'Once')
    expect([again.status, again.headers.get('idempotent-replayed'), again.headers.get('location')]).toEqual([
      201,
      'true',
      `/api/v1/notes/${good[0]!.body.data.id}`,
    ])
    expect(again.headers.get('etag')).toBe(good[0]!.headers.get('etag'))
  })

  it('is refused with another body, and another note for another user or in another tenant', async () => {
    const [ada, bob] = await Promise.all([newcomer(), newcomer()])
    const first = await write(one, ada, 'order-1', 'Ours')
    expect(first.status).toBe(201)
    const other = await write(two, ada, 'order-1', 'Changed')
    expect([other.status, other.body.error.code]).toEqual([409, 'idempotency.key_reused'])
    const foreign = await write(two, bob, 'order-1', 'Ours')
    expect([foreign.status, foreign.headers.get('idempotent-replayed')]).toEqual([201, null])
    expect(foreign.body.data.id).not.toBe(first.body.data.id)

    const second = await one.ask<{ id: string }>('POST', '/api/v1/tenants', { token: ada.token, body: { name: 'Two' } })
    const elsewhere = { ...ada, tenant: second.body.data.id }
    const there = await write(one, elsewhere, 'order-1', 'Ours')
    expect([there.status, there.headers.get('idempotent-replayed')]).toEqual([201, null])
    expect([await titles(two, ada), await titles(two, elsewhere), await titles(two, bob)]).toEqual([
      ['Ours'],
      ['Ours'],
      ['Ours'],
    ])
  })

  it('is not shown to somebody who has lost the right to see it', async () => {
    const ada = await newcomer()
    const key = randomUUID()
    await write(one, ada, key, 'Secret')
    expect((await one.ask('DELETE', '/api/v1/me/sessions', { token: ada.token })).status).toBe(200)
    await one.ask('POST', '/api/v1/auth/logout', { token: ada.token })
    const late = await eventually(async () => {
      const reply = await write(two, ada, key, 'Secret')
      return reply.status === 401 && reply
    })
    expect(late.headers.get('idempotent-replayed')).toBeNull()
  })
})

describe('accounts', () => {
  const enrol = (product: Product, key: string, email: string): Promise<Reply<Welcome>> =>
    product.ask('POST', '/api/v1/auth/register', {
      body: { email, password, name: 'Ada' },
      headers: { 'idempotency-key': key },
    })

  it('register once, with one pair of tokens that only the same request gets again', async () => {
    const email = someone()
    const key = randomUUID()
    const answers = await Promise.all(Array.from({ length: 6 }, (_, i) => enrol(i % 2 === 0 ? one : two, key, email)))
    const good = answers.filter(({ status }) => status === 201)
    expect(new Set(good.map(({ body }) => body.data.tokens.refresh_token)).size).toBe(1)
    expect(answers.filter(({ status }) => status !== 201 && status !== 409)).toEqual([])
    // A stranger who has found the key out has no password to send.
    const stranger = await two.ask('POST', '/api/v1/auth/register', {
      body: { email, password: 'some other pass phrase 1', name: 'Ada' },
      headers: { 'idempotency-key': key },
    })
    expect([stranger.status, stranger.body.error.code]).toEqual([409, 'user.email_taken'])
    const guessed = await enrol(one, 'register-1', someone())
    expect([guessed.status, guessed.body.error.code]).toEqual([400, 'idempotency.key_guessable'])
  })

  it('refresh without keys: a replay of tokens would hide that somebody else uses them', async () => {
    const { refresh_token: token } = (await register(one, someone())).body.data.tokens
    const refused = await one.ask('POST', '/api/v1/auth/refresh', {
      body: { refresh_token: token },
      headers: { 'idempotency-key': randomUUID() },
    })
    expect([refused.status, refused.body.error.code]).toEqual([400, 'idempotency.key_refused'])
  })
})
