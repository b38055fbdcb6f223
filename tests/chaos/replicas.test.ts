import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { cheapHashes, login, refresh, register, someone } from '../e2e/people.ts'
import type { Tokens } from '../e2e/people.ts'
import { appFolder, eventually, forge, launch } from '../e2e/product.ts'
import type { AppFolder, Product } from '../e2e/product.ts'
import { anyDatabase, witness } from './arena.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

const settings = { FORGE_KEYS_LEEWAY: '1m', FORGE_SECRET: 'nobody-guesses-this-0123456789-abcdefghijk' }

let folder: AppFolder
let database: Awaited<ReturnType<typeof anyDatabase>>
let upright: Product
beforeAll(async () => {
  folder = await appFolder()
  database = await anyDatabase()
  upright = await replica()
})
afterAll(async () => {
  await upright[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await folder[Symbol.asyncDispose]()
})

const replica = (env: Readonly<Record<string, string>> = {}): Promise<Product> =>
  launch({ root: folder.root, env: { ...cheapHashes, ...settings, DATABASE_URL: database.url, ...env } })

const skewed = (ms: number): Promise<Product> =>
  replica({
    CLOCK_SKEW_MS: String(ms),
    NODE_OPTIONS: `--import=${new URL('./skew.ts', import.meta.url).href}`,
  })

const me = async (product: Product, token: string): Promise<string> => {
  const { status, body } = await product.ask('GET', '/api/v1/auth/me', { token })
  return status === 200 ? 'welcome' : body.error.code
}

const kidOf = (token: string): string =>
  (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid

describe('a replica whose notifications are lost without a word', () => {
  it('refuses what another has revoked soon, and follows its keys', async () => {
    await using ears = await deafened(database.url)
    await using deaf = await replica({ DATABASE_DIRECT_URL: ears.url })
    const email = someone()
    const victim = (await register(upright, email)).body.data.tokens.access_token
    const owner = (await login(upright, email)).body.data.tokens.access_token
    expect([await me(deaf, victim), await me(deaf, owner)]).toEqual(['welcome', 'welcome'])
    ears.plug()
    expect((await upright.ask('DELETE', '/api/v1/me/sessions', { token: owner })).status).toBe(200)
    await eventually(async () => (await me(deaf, victim)) === 'auth.session_revoked', 15_000)
    expect(await me(deaf, owner)).toBe('welcome')

    const rotated = await forge(folder.root, ['keys', 'rotate', '--now', '--json'], {
      ...settings,
      DATABASE_URL: database.url,
    })
    expect(rotated).toMatchObject({ code: 0, json: { rotated: true } })
    const { active } = rotated.json as { active: string }
    const fresh = await eventually(async () => {
      const { access_token: token } = (await login(upright, email)).body.data.tokens
      return kidOf(token) === active && token
    })
    expect(await me(deaf, fresh)).toBe('welcome')
    expect(await me(deaf, owner)).toBe('welcome')
  })

  it('hears again by itself after its connection was cut', async () => {
    await using db = witness(database.url)
    const email = someone()
    const victim = (await register(upright, email)).body.data.tokens.access_token
    const owner = (await login(upright, email)).body.data.tokens.access_token
    const ears = `select count(*)::int as n from pg_stat_activity where datname = current_database() and application_name like '% listen'`
    // Those of replicas that were here before go a moment later.
    const before = 1
    await eventually(async () => (await db.query<{ n: number }>(ears, [])).rows[0]?.n === before)
    const { rowCount } = await db.query(
      `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = current_database() and application_name like '% listen'`,
      [],
    )
    expect(rowCount).toBe(before)
    expect((await upright.ask('DELETE', '/api/v1/me/sessions', { token: owner })).status).toBe(200)
    await eventually(async () => (await me(upright, victim)) === 'auth.session_revoked', 15_000)
    await eventually(async () => (await db.query<{ n: number }>(ears, [])).rows[0]?.n === before)
  })
})

describe('a replica whose clock is wrong', () => {
  it('by less than the leeway changes nothing', async () => {
    for (const ms of [-50_000, 50_000]) {
      await using other = await skewed(ms)
      const email = someone()
      const ours = (await register(upright, email)).body.data.tokens
      const theirs = (await login(other, email)).body.data.tokens
      expect([await me(other, ours.access_token), await me(upright, theirs.access_token)]).toEqual([
        'welcome',
        'welcome',
      ])
    }
  })

  it.each([
    ['two hours ahead', 7_200_000, 'auth.token_expired', 'auth.token_invalid'],
    ['two hours behind', -7_200_000, 'auth.token_invalid', 'auth.token_expired'],
  ])('by %s refuses foreign tokens, serves its own, and breaks nothing for others', async (_, ms, there, here) => {
    await using other = await skewed(ms)
    const email = someone()
    const ours = (await register(upright, email)).body.data.tokens
    const theirs: Tokens = (await login(other, email)).body.data.tokens
    expect(await me(other, theirs.access_token)).toBe('welcome')
    expect(await me(upright, ours.access_token)).toBe('welcome')
    expect(await me(other, ours.access_token)).toBe(there)
    expect(await me(upright, theirs.access_token)).toBe(here)
    // A session is worth something on every replica: its refresh token brings a pair that its issuer accepts.
    const traded = await refresh(upright, theirs.refresh_token)
    expect(traded.status).toBe(200)
    expect(await me(upright, traded.body.data.access_token)).toBe('welcome')
    // Revocations count in the time of the database.
    const owner = (await login(other, email)).body.data.tokens.access_token
    expect((await other.ask('DELETE', '/api/v1/me/sessions', { token: owner })).status).toBe(200)
    await eventually(async () => (await me(upright, ours.access_token)) === 'auth.session_revoked', 15_000)
    expect((await other.ask('GET', '/readyz')).status).toBe(200)
  })
})

/** A TCP way to a server, which can be plugged: what was connected hears nothing any more, and nobody is told. */
async function deafened(target: string): Promise<AsyncDisposable & { readonly url: string; plug(): void }> {
  const [, authority = '', name = ''] = /^postgres(?:ql)?:\/\/(?:[^@/]*@)?([^/]*)\/([^?]*)/.exec(target) ?? []
  const [host = '', port = '5432'] = authority.split(':')
  const folderOf = decodeURIComponent(host)
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = folderOf.startsWith('/') ? connect(`${folderOf}/.s.PGSQL.${port}`) : connect(Number(port), folderOf)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
    }
    near.pipe(far)
    far.pipe(near)
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  return {
    url: `postgres://postgres@127.0.0.1:${(server.address() as AddressInfo).port}/${name}`,
    plug() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((closed) => server.close(closed))
    },
  }
}
