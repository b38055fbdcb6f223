import { afterEach, describe, expect, it } from 'vitest'
import { currentContext } from '../../kernel/context.ts'
import type { Actor } from '../../kernel/context.ts'
import { defineErrors } from '../../kernel/errors.ts'
import { httpErrors, route } from '../index.ts'
import type { Access, Authenticator, NamedAuthenticator, Route, TenantMode } from '../index.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'
import type { LabSettings } from './fixture.ts'

afterEach(closeLabs)

const ours = '0190a1b2-c3d4-7e5f-8a9b-000000000001'
const theirs = '0190a1b2-c3d4-7e5f-8a9b-000000000002'
const ada: Actor = { kind: 'user', id: '0190a1b2-c3d4-7e5f-8a9b-00000000000a', tenantId: ours }
const homeless: Actor = { kind: 'user', id: '0190a1b2-c3d4-7e5f-8a9b-00000000000b' }

const bearer = (promised: boolean): NamedAuthenticator => {
  const known: Authenticator = ({ authorization }) => {
    if (authorization?.scheme !== 'bearer') return undefined
    if (authorization.value === 'ada') return ada
    if (authorization.value === 'homeless') return homeless
    throw httpErrors.error('access.unauthenticated')
  }
  return {
    name: 'bearer',
    scheme: { type: 'http', scheme: 'bearer' },
    authenticate: promised ? async (credentials) => known(credentials) : known,
  }
}
const key: NamedAuthenticator = {
  name: 'key',
  scheme: { type: 'apiKey', in: 'header', name: 'X-Key' },
  authenticate: (credentials) =>
    credentials.header('X-Key') === 'robot' ? { kind: 'service', id: 'robot' } : undefined,
}
const who = (access: Access, tenant?: TenantMode): Route =>
  route({
    method: 'GET',
    url: '/who',
    id: 'who',
    summary: 'Who',
    access,
    ...(tenant !== undefined && { tenant }),
    data: Type.Object({
      actor: Type.Union([Type.String(), Type.Null()]),
      tenant: Type.Union([Type.String(), Type.Null()]),
      same: Type.Boolean(),
    }),
    handler: ({ actor, tenantId, context }) => ({
      actor: actor.id,
      tenant: tenantId,
      same: currentContext() === context,
    }),
  })
const permissions = { 'notes.read': { description: 'Read notes' } }

for (const promised of [false, true]) {
  describe(`with parts that answer ${promised ? 'later' : 'at once'}`, () => {
    const settings = (): LabSettings => ({
      authenticators: [key, bearer(promised)],
      permissions,
      tenantGate: (_actor, tenantId) => {
        const fault = tenantId === ours ? undefined : httpErrors.error('access.denied')
        if (promised) return fault === undefined ? Promise.resolve() : Promise.reject(fault)
        if (fault !== undefined) throw fault
        return undefined
      },
      authorizer: (actor) => (promised ? Promise.resolve(actor.id === ada.id) : actor.id === ada.id),
    })
    const ask = async (target: Route, headers: Record<string, string>): Promise<[number, unknown, unknown]> => {
      const { http } = await lab([target], settings())
      const answer = await http.inject({ url: '/who', headers })
      return [answer.statusCode, answer.json().error?.code ?? answer.json().data, answer.json().error?.meta]
    }

    it('answers 401 with a challenge to callers without or with wrong credentials', async () => {
      expect(await ask(who('authenticated'), {})).toEqual([401, 'access.unauthenticated', undefined])
      expect(await ask(who('authenticated'), { authorization: 'Bearer wrong' })).toEqual([
        401,
        'access.unauthenticated',
        undefined,
      ])
      const { http } = await lab([who('authenticated')], settings())
      expect((await http.inject('/who')).headers['www-authenticate']).toBe('Bearer realm="lab"')
    })

    it('knows the scheme in any case and hands the handler its actor, tenant and context', async () => {
      expect(await ask(who('authenticated'), { authorization: 'bEaReR ada' })).toEqual([
        200,
        { actor: ada.id, tenant: ours, same: true },
        undefined,
      ])
      expect(await ask(who('authenticated'), { 'x-key': 'robot' })).toEqual([
        200,
        { actor: 'robot', tenant: null, same: true },
        undefined,
      ])
    })

    it('refuses malformed tenant ids with 400, foreign ones with 403, and none where one is needed with 400', async () => {
      const authorization = 'Bearer ada'
      for (const bad of ['x', '', 'global', '*', `${ours}, ${ours}`, 'a'.repeat(9000), `${ours}'--`]) {
        expect(await ask(who('authenticated'), { authorization, 'x-tenant-id': bad })).toEqual([
          400,
          'tenant.invalid',
          undefined,
        ])
      }
      expect(await ask(who('authenticated'), { authorization, 'x-tenant-id': theirs })).toEqual([
        403,
        'access.denied',
        undefined,
      ])
      expect(await ask(who('notes.read'), { authorization: 'Bearer homeless' })).toEqual([
        400,
        'tenant.required',
        undefined,
      ])
    })

    it('takes the tenant of the header when the gate says member, in either case, and ignores it where none applies', async () => {
      expect(
        await ask(who('authenticated'), { authorization: 'Bearer homeless', 'x-tenant-id': ours.toUpperCase() }),
      ).toEqual([200, { actor: homeless.id, tenant: ours, same: true }, undefined])
      expect(
        await ask(who('authenticated', 'none'), { authorization: 'Bearer ada', 'x-tenant-id': 'garbage' }),
      ).toEqual([200, { actor: ada.id, tenant: null, same: true }, undefined])
    })

    it('asks for the permission and names it when it is missing', async () => {
      expect(await ask(who('notes.read'), { authorization: 'Bearer ada' })).toEqual([
        200,
        { actor: ada.id, tenant: ours, same: true },
        undefined,
      ])
      expect(await ask(who('notes.read'), { authorization: 'Bearer homeless', 'x-tenant-id': ours })).toEqual([
        403,
        'access.denied',
        { permission: 'notes.read' },
      ])
    })
  })
}

it('refuses a named tenant that nobody can vouch for', async () => {
  const { http } = await lab([who('authenticated')], { authenticators: [bearer(false)] })
  expect(
    (await http.inject({ url: '/who', headers: { authorization: 'Bearer ada', 'x-tenant-id': theirs } })).statusCode,
  ).toBe(403)
  expect(
    (await http.inject({ url: '/who', headers: { authorization: 'Bearer ada', 'x-tenant-id': ours } })).statusCode,
  ).toBe(200)
})

it('does not read the body of a caller that it does not let in', async () => {
  const post = route({
    method: 'POST',
    url: '/p',
    id: 'p',
    summary: 'P',
    access: 'authenticated',
    body: Type.Object({}),
    data: null,
    handler: () => undefined as never,
  })
  const { http } = await lab([post], { authenticators: [bearer(false)] })
  const answer = await http.inject({
    method: 'POST',
    url: '/p',
    headers: { 'content-type': 'application/json' },
    payload: '{{{',
  })
  expect(answer.statusCode).toBe(401)
})

it('keeps an authorizer that throws or answers nonsense from letting anybody in', async () => {
  for (const [authorizer, status] of [
    [() => 'yes' as unknown as boolean, 403],
    [() => undefined as unknown as boolean, 403],
    [
      () => {
        throw new Error('db down')
      },
      500,
    ],
  ] as const) {
    const { http } = await lab([who('notes.read')], {
      authenticators: [bearer(false)],
      permissions,
      tenantGate: () => undefined,
      authorizer,
    })
    expect((await http.inject({ url: '/who', headers: { authorization: 'Bearer ada' } })).statusCode).toBe(status)
  }
})

it('never lets a credential do more than its scopes, whatever the authorizer says', async () => {
  const asked: string[] = []
  const withScopes = (scopes: readonly string[] | undefined): LabSettings => ({
    authenticators: [
      {
        name: 'bearer',
        scheme: { type: 'http', scheme: 'bearer' },
        authenticate: () => (scopes === undefined ? ada : { ...ada, scopes }),
      },
    ],
    permissions,
    tenantGate: () => undefined,
    authorizer: (_actor, permission) => asked.push(permission) > 0,
  })
  const status = async (scopes: readonly string[] | undefined): Promise<number> =>
    (await (await lab([who('notes.read')], withScopes(scopes))).http.inject({ url: '/who' })).statusCode
  expect(await status([])).toBe(403)
  expect(await status(['notes.write', 'notes'])).toBe(403)
  expect(asked).toEqual([])
  expect(await status(['notes.read'])).toBe(200)
  expect(await status(['*'])).toBe(200)
  expect(await status(undefined)).toBe(200)
})

it('varies by what the answer depends on, also for 304', async () => {
  const { http } = await lab([who('authenticated')], { authenticators: [bearer(false)] })
  const first = await http.inject({ url: '/who', headers: { authorization: 'Bearer ada' } })
  expect(first.headers.vary).toBe('authorization, x-tenant-id')
  const again = await http.inject({
    url: '/who',
    headers: { authorization: 'Bearer ada', 'if-none-match': String(first.headers.etag) },
  })
  expect([again.statusCode, again.headers.vary]).toEqual([304, 'authorization, x-tenant-id'])
})

it('writes actor and tenant into the access line', async () => {
  const { http, lines } = await lab([who('authenticated')], { authenticators: [bearer(false)] })
  await http.inject({
    url: '/who?token=secret',
    headers: { authorization: 'Bearer ada', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' },
  })
  expect(lines[0]).toMatchObject({
    actor_id: ada.id,
    tenant_id: ours,
    path: '/who',
    trace_id: '0af7651916cd43dd8448eb211c80319c',
  })
})

describe('boot', () => {
  const base = (over: object): Route =>
    ({
      method: 'GET',
      url: '/x',
      id: 'x',
      summary: 'X',
      access: 'public',
      data: null,
      handler: () => undefined,
      ...over,
    }) as unknown as Route
  const boots: [string, Route[], RegExp][] = [
    ['a route without access', [base({ access: undefined })], /declares no access/],
    ['an undeclared permission', [base({ access: 'other.thing' })], /no feature declares/],
    ['an access that is no permission', [base({ access: 'Admin' })], /neither public, authenticated nor a permission/],
    ['the same id twice', [base({}), base({ url: '/y' })], /is taken by GET \/x/],
    [
      'the same address twice, whatever its parameters are called',
      [base({ url: '/x/:a' }), base({ url: '/x/:b', id: 'y' })],
      /same method and address/,
    ],
    ['a body on GET', [base({ body: Type.Object({}) })], /takes no body/],
    [
      'parameters that the address does not have',
      [base({ params: Type.Object({ id: Type.String() }) })],
      /does not have/,
    ],
    ['If-Match on GET', [base({ precondition: 'optional' })], /If-Match is for writes/],
    [
      'an ETag out of a version that the data may lack',
      [base({ etag: 'version', data: Type.Object({ version: Type.Optional(Type.Integer()) }) })],
      /which its data does not have/,
    ],
    ['a trailing slash', [base({ url: '/x/' })], /does not end with it/],
  ]
  for (const [name, routes, message] of boots) {
    it(`refuses ${name}`, async () => {
      await expect(
        lab(routes, { authenticators: [bearer(false)], permissions, authorizer: () => true }),
      ).rejects.toThrow(message)
    })
  }

  it('refuses guarded routes that nobody guards', async () => {
    await expect(lab([who('authenticated')])).rejects.toThrow(/no feature authenticates/)
    await expect(lab([who('notes.read')], { authenticators: [bearer(false)], permissions })).rejects.toThrow(
      /no feature decides/,
    )
  })

  it('refuses a route that names an error code of no catalogue', async () => {
    const errors = defineErrors({ 'a.b': { status: 409, message: 'x' } })
    const good = await lab([base({ errors: ['a.b'] })], { catalogues: [errors] })
    expect(good.http.document()).toHaveProperty(['paths', '/x', 'get', 'responses', '409'])
    await expect(lab([base({ errors: ['a.b', 'a.c'] })], { catalogues: [errors] })).rejects.toThrow(
      /GET \/x: its error code "a.c" is in no catalogue/,
    )
  })

  it('refuses one error code with two meanings, and takes the same meaning twice', async () => {
    const one = defineErrors({ 'a.b': { status: 409, message: { en: 'x', id: 'y' } } })
    const same = defineErrors({ 'a.b': { status: 409, message: { en: 'x', id: 'y' } } })
    const other = defineErrors({ 'a.b': { status: 404, message: { en: 'x', id: 'y' } } })
    await lab([base({})], { catalogues: [one, same] })
    await expect(lab([base({})], { catalogues: [one, other] })).rejects.toThrow(/"a.b" means different things/)
    const internal = defineErrors({ internal: { status: 500, message: 'mine' } })
    await expect(lab([base({})], { catalogues: [internal] })).rejects.toThrow(/"internal" means different things/)
  })

  it('refuses one name for two schemas when the document is made', async () => {
    const named = (type: object): object => ({ ...type, $id: 'Thing' })
    const twice = await lab([
      base({ data: named(Type.Object({ a: Type.String() })) }),
      base({ id: 'y', url: '/y', data: named(Type.Object({ b: Type.String() })) }),
    ])
    expect(() => twice.http.document()).toThrow(/two different schemas are called "Thing"/)
  })

  it('names every fault at once', async () => {
    const fault = await lab([base({ access: undefined }), base({ url: '/y/' })]).catch((error: unknown) =>
      String(error),
    )
    expect(fault).toMatch(/declares no access[\s\S]*does not end with it/)
  })
})
