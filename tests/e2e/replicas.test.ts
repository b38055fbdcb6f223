import { createRemoteJWKSet, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cheapHashes, login, refresh, register, someone } from './people.ts'
import type { Tokens } from './people.ts'
import { appFolder, eventually, forge, launch } from './product.ts'
import type { AppFolder, Product } from './product.ts'

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

const works = async (product: Product, token: string): Promise<boolean> =>
  (await product.ask('GET', '/api/v1/auth/me', { token })).status === 200

describe('two processes on one database', () => {
  it('give fifty concurrent refreshes of one token one live family; a replay ends it and nothing else', async () => {
    const email = someone()
    const { tokens } = (await register(one, email)).body.data
    const bystander = (await login(two, email)).body.data.tokens

    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) => refresh(i % 2 === 0 ? one : two, tokens.refresh_token)),
    )
    const pairs = answers.filter(({ status }) => status === 200).map(({ body }) => body.data)
    expect(pairs.length).toBeGreaterThan(0)
    expect(new Set(pairs.map((pair) => pair.refresh_token)).size).toBe(1)

    let newest = pairs[0] as Tokens
    expect(await works(two, newest.access_token)).toBe(true)
    // Two steps further the first token is old beyond any doubt about lost answers.
    for (const product of [two, one]) newest = (await refresh(product, newest.refresh_token)).body.data
    const replay = await refresh(two, tokens.refresh_token)
    expect(replay).toMatchObject({ status: 401, body: { error: { code: 'auth.token_reused' } } })
    expect((await refresh(one, newest.refresh_token)).status).toBe(401)
    expect((await refresh(one, bystander.refresh_token)).status).toBe(200)
  })

  it('refuse a session within 5 s after the other has revoked it', async () => {
    const email = someone()
    const victim = (await register(one, email)).body.data.tokens.access_token
    const { access_token: owner } = (await login(two, email)).body.data.tokens
    expect(await works(two, victim)).toBe(true)
    expect(await works(one, victim)).toBe(true)
    expect((await two.ask('DELETE', '/api/v1/me/sessions', { token: owner })).status).toBe(200)
    // The five seconds, and what a busy machine takes to tell.
    await eventually(async () => !(await works(one, victim)), 15_000)
    expect(await works(one, owner)).toBe(true)
  })

  it('rotate their keys without one refused token, as a foreign JOSE library sees it', async () => {
    const email = someone()
    await register(one, email)
    // The library refetches on an unknown kid; nobody waits between.
    const keySet = createRemoteJWKSet(new URL(`${two.url}/.well-known/jwks.json`), { cooldownDuration: 0 })
    const verified: string[] = []
    const verify = async (product: Product): Promise<void> => {
      const { access_token: token } = (await login(product, email)).body.data.tokens
      const { protectedHeader } = await jwtVerify(token, keySet, { typ: 'at+jwt' })
      verified.push(protectedHeader.kid as string)
      expect(await works(one, token)).toBe(true)
      expect(await works(two, token)).toBe(true)
    }
    await verify(one)
    const early = (await login(one, email)).body.data.tokens.access_token
    const rotated = await forge(folder.root, ['keys', 'rotate', '--now', '--json'])
    expect(rotated).toMatchObject({ code: 0, json: { ok: true, rotated: true } })
    await eventually(async () => {
      await verify(one)
      await verify(two)
      return verified.slice(-2).every((kid) => kid === (rotated.json as { active: string }).active)
    })
    expect(new Set(verified).size).toBe(2)
    expect(await works(two, early)).toBe(true)
    await jwtVerify(early, keySet)
  })
})
