import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { createContext, runWithContext, requireTenantId } from '../../../kernel/context.ts'
import type { Db } from '../../../primitives/db/index.ts'
import { eventually, replicasOf, withQuery } from '../../../primitives/keys/tests/database.ts'
import type { Replicas } from '../../../primitives/keys/tests/database.ts'
import { createFakeClock } from '../../../testing/clock.ts'
import type { FakeClock } from '../../../testing/clock.ts'
import { memberChanged } from '../events.ts'
import { replica, someone, userActor } from './setup.ts'
import type { Replica } from './setup.ts'

let database: Replicas
let db: Db
let clock: FakeClock
let here: Replica

beforeAll(async () => {
  database = await replicasOf({ module: 'tenants', directory: new URL('../migrations/', import.meta.url) })
  db = database.connect()
})
afterAll(() => database[Symbol.asyncDispose]())
beforeEach(() => {
  clock = createFakeClock(Date.now())
  here = replica(db, clock)
})

const team = async (ownerId = someone()) => ({ ownerId, ...(await here.tenants.create({ name: 'Team', ownerId })) })
const code = (value: string) => expect.objectContaining({ code: value })

/** The same database with another `listen`. */
function withListen(target: Db, listen: Db['listen']): Db {
  return new Proxy(target, {
    get: (of, key) => {
      if (key === 'listen') return listen
      const value: unknown = Reflect.get(of, key)
      return typeof value === 'function' ? value.bind(of) : value
    },
  })
}

/** The codes that the losers got. */
const refusals = (results: readonly PromiseSettledResult<unknown>[]) =>
  new Set(
    results.flatMap((result) => (result.status === 'rejected' ? [(result.reason as { code?: string }).code] : [])),
  )

describe('the personal tenant', () => {
  test('commits with the transaction that makes it, or not at all', async () => {
    const userId = someone()
    await expect(
      db.tx(async (tx) => {
        await here.tenants.createPersonal({ userId, name: 'Ada' }, tx)
        throw new Error('undo')
      }),
    ).rejects.toThrow('undo')
    expect(await here.tenants.defaultFor(userId)).toBeNull()
    const tenant = await db.tx((tx) => here.tenants.createPersonal({ userId, name: 'Ada' }, tx))
    expect(tenant).toMatchObject({ name: 'Ada', kind: 'personal', slug: null, version: 1 })
    expect(await here.memberships.roleOf(userId, tenant.id)).toBe('owner')
  })

  test('is what a token names, before teams that were joined earlier', async () => {
    const userId = someone()
    const { id } = await team()
    await here.tenants.addMember(id, userId, 'member')
    expect(await here.tenants.defaultFor(userId)).toBe(id)
    await clock.advance(1000)
    const personal = await here.tenants.createPersonal({ userId, name: 'Ada' })
    expect(await here.tenants.defaultFor(userId)).toBe(personal.id)
  })

  test('exists once per user, however many ask at once', async () => {
    const userId = someone()
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => here.tenants.createPersonal({ userId, name: 'Ada' })),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    expect((await here.tenants.listFor(userId)).items).toHaveLength(1)
  })

  test('cannot be shared, left or deleted', async () => {
    const userId = someone()
    const { id } = await here.tenants.createPersonal({ userId, name: 'Ada' })
    await expect(here.tenants.addMember(id, someone(), 'member')).rejects.toEqual(code('tenant.personal'))
    await expect(here.tenants.delete(id)).rejects.toEqual(code('tenant.personal'))
    await expect(here.tenants.removeMember(id, userId)).rejects.toEqual(code('tenant.last_owner'))
  })

  test.each([['   '], ['\u202Eevil'], ['a\u0000b'], ['\uD800'], ['x'.repeat(300)], ['\u200B']])(
    'is made even for a user called %j',
    async (name) => {
      const tenant = await here.tenants.createPersonal({ userId: someone(), name })
      expect(tenant.name).toMatch(/^[^\u202E\0]{1,100}$/)
    },
  )
})

describe('teams', () => {
  test.each([[''], ['  '], ['x'.repeat(101)], ['a\nb'], ['\u202Egpj'], ['\uD800'], ['\u200B\u200B']])(
    'refuse the name %j',
    async (name) => {
      expect(() => here.tenants.create({ name, ownerId: someone() })).toThrow(code('tenant.invalid_name'))
    },
  )

  test.each(['ab', '-abc', 'abc-', 'Abc', 'a_b', 'a'.repeat(64), 'äbc', 'a b', 'abc\n'])(
    'refuse the slug %j',
    async (slug) => {
      expect(() => here.tenants.create({ name: 'T', slug, ownerId: someone() })).toThrow(code('tenant.invalid_name'))
    },
  )

  test('hold a slug alone while they live, and free it when they are deleted', async () => {
    const slug = `s-${someone().slice(0, 8)}`
    const make = () => here.tenants.create({ name: 'T', slug, ownerId: someone() })
    const results = await Promise.allSettled(Array.from({ length: 20 }, make))
    const made = results.filter((result) => result.status === 'fulfilled')
    expect(made).toHaveLength(1)
    expect(refusals(results)).toEqual(new Set(['tenant.slug_taken']))
    await here.tenants.delete(made[0]!.value.id)
    expect((await make()).slug).toBe(slug)
  })

  test('keep what an update does not name, and take null for none', async () => {
    const { id } = await here.tenants.create({ name: 'Old', slug: `s-${someone()}`, ownerId: someone() })
    const renamed = await here.tenants.update(id, { name: 'New' })
    expect(renamed).toMatchObject({ name: 'New', slug: expect.stringContaining('s-'), version: 2 })
    expect(await here.tenants.update(id, { slug: null })).toMatchObject({ name: 'New', slug: null, version: 3 })
  })

  test('let one of fifty updates of the same version win', async () => {
    const { id } = await team()
    const results = await Promise.allSettled(
      Array.from({ length: 50 }, (_, i) => here.tenants.update(id, { name: `N${i}` }, { version: 1 })),
    )
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    expect(refusals(results)).toEqual(new Set(['precondition.failed']))
  })

  test('vanish when deleted, for members and strangers alike', async () => {
    const { id, ownerId } = await team()
    expect(await here.memberships.roleOf(ownerId, id)).toBe('owner')
    await here.tenants.delete(id)
    expect(await here.memberships.roleOf(ownerId, id)).toBeUndefined()
    expect((await here.tenants.listFor(ownerId)).items).toEqual([])
    expect(await here.tenants.defaultFor(ownerId)).toBeNull()
    for (const act of [
      () => here.tenants.get(id),
      () => here.tenants.members(id),
      () => here.tenants.update(id, { name: 'x' }),
      () => here.tenants.delete(id),
      () => here.tenants.addMember(id, someone(), 'member'),
      () => here.tenants.changeRole(id, ownerId, 'member'),
      () => here.tenants.removeMember(id, ownerId),
      () => here.tenants.get(someone()),
      () => here.tenants.get('not-an-id'),
      () => here.tenants.update('x', { name: 'x' }),
    ])
      await expect(act()).rejects.toEqual(code('tenant.forbidden'))
  })

  test('bear the stamp of who acts', async () => {
    const ownerId = someone()
    const admin = someone()
    const { id } = await here.tenants.create({ name: 'T', ownerId })
    await runWithContext(createContext({ requestId: 'r', actor: userActor(admin) }), () =>
      here.tenants.update(id, { name: 'U' }),
    )
    const { rows } = await db.query('select created_by, updated_by from forge_tenants where id = $1', [id])
    expect(rows).toEqual([{ created_by: null, updated_by: admin }])
  })
})

describe('members', () => {
  test('come, change and go', async () => {
    const { id, ownerId } = await team()
    const userId = someone()
    const heard: unknown[] = []
    const note = (message: unknown) => void heard.push(message)
    memberChanged.subscribe(note)
    expect(await here.tenants.addMember(id, userId, 'member')).toMatchObject({ userId, role: 'member' })
    await expect(here.tenants.addMember(id, userId, 'owner')).rejects.toEqual(code('tenant.member_exists'))
    expect(await here.tenants.changeRole(id, userId, 'owner')).toMatchObject({ role: 'owner' })
    await here.tenants.removeMember(id, ownerId)
    expect((await here.tenants.members(id)).items.map((member) => member.userId)).toEqual([userId])
    for (const act of [
      () => here.tenants.changeRole(id, ownerId, 'owner'),
      () => here.tenants.removeMember(id, ownerId),
    ]) {
      await expect(act()).rejects.toEqual(code('tenant.member_not_found'))
    }
    memberChanged.unsubscribe(note)
    expect(heard).toEqual(
      [
        [userId, 'member'],
        [userId, 'owner'],
        [ownerId, null],
      ].map(([user, role]) => ({ tenantId: id, userId: user, role })),
    )
  })

  test('the last owner stays, as owner', async () => {
    const { id, ownerId } = await team()
    await here.tenants.addMember(id, someone(), 'member')
    await expect(here.tenants.removeMember(id, ownerId)).rejects.toEqual(code('tenant.last_owner'))
    await expect(here.tenants.changeRole(id, ownerId, 'member')).rejects.toEqual(code('tenant.last_owner'))
    expect(await here.memberships.roleOf(ownerId, id)).toBe('owner')
  })

  test('fifty owners who leave or step down at once, on two replicas, leave exactly one', async () => {
    const { id, ownerId } = await team()
    const there = replica(database.connect(), clock)
    const owners = [ownerId, ...Array.from({ length: 49 }, someone)]
    for (const userId of owners.slice(1)) await here.tenants.addMember(id, userId, 'owner')
    const results = await Promise.allSettled(
      owners.map(async (userId, i) => {
        const { tenants } = i % 2 === 0 ? here : there
        await (i % 3 === 0 ? tenants.removeMember(id, userId) : tenants.changeRole(id, userId, 'member'))
      }),
    )
    expect(
      results
        .filter((result) => result.status === 'rejected')
        .map((result) => (result.reason as { code: string }).code),
    ).toEqual(['tenant.last_owner'])
    expect((await here.tenants.members(id)).items.filter((member) => member.role === 'owner')).toHaveLength(1)
  })
})

describe('memberships', () => {
  test('are answered from memory, strangers too', async () => {
    const query = vi.fn(db.query.bind(db))
    const counting = replica(withQuery(db, query), clock)
    const { id, ownerId } = await team()
    const stranger = someone()
    expect(await counting.memberships.roleOf(ownerId, id)).toBe('owner')
    expect(await counting.memberships.roleOf(stranger, id)).toBeUndefined()
    for (let i = 0; i < 10; i++) {
      expect(counting.memberships.roleOf(ownerId, id)).toBe('owner')
      expect(counting.memberships.roleOf(stranger, id.toUpperCase())).toBeUndefined()
    }
    expect(query).toHaveBeenCalledTimes(2)
  })

  test('a hundred questions at once cost one query', async () => {
    const query = vi.fn(db.query.bind(db))
    const counting = replica(withQuery(db, query), clock)
    const { id, ownerId } = await team()
    const roles = await Promise.all(Array.from({ length: 100 }, async () => counting.memberships.roleOf(ownerId, id)))
    expect(new Set(roles)).toEqual(new Set(['owner']))
    expect(query).toHaveBeenCalledTimes(1)
  })

  test('a removed member is refused at once where he was removed, and by notification elsewhere', async () => {
    const there = replica(database.connect(), clock)
    await there.memberships.start()
    const { id } = await team()
    const userId = someone()
    await here.tenants.addMember(id, userId, 'member')
    expect(await here.memberships.roleOf(userId, id)).toBe('member')
    expect(await there.memberships.roleOf(userId, id)).toBe('member')
    await here.tenants.removeMember(id, userId)
    expect(await here.memberships.roleOf(userId, id)).toBeUndefined()
    await eventually(async () => expect(await there.memberships.roleOf(userId, id)).toBeUndefined())
    await there.memberships.stop()
  })

  test('a removed member is refused within 5 s on a replica that hears nothing', async () => {
    const deaf = replica(database.connect(), clock)
    const { id } = await team()
    const userId = someone()
    await here.tenants.addMember(id, userId, 'member')
    expect(await deaf.memberships.roleOf(userId, id)).toBe('member')
    await here.tenants.removeMember(id, userId)
    expect(deaf.memberships.roleOf(userId, id)).toBe('member')
    await clock.advance(5000)
    expect(await deaf.memberships.roleOf(userId, id)).toBeUndefined()
  })

  test('a replica that cannot LISTEN starts, and believes what it knows for its time to live', async () => {
    const deaf = replica(
      withListen(db, () => Promise.reject(new Error('the direct URL leads nowhere'))),
      clock,
    )
    await deaf.memberships.start()
    const { id, ownerId } = await team()
    expect(await deaf.memberships.roleOf(ownerId, id)).toBe('owner')
    await deaf.memberships.stop()
  })

  test('an answer that was under way during a change is not kept', async () => {
    const gate = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    let hold = true
    const slow = replica(
      withQuery(db, async (text, values) => {
        const result = await db.query(text, values)
        if (hold) {
          held.resolve()
          await gate.promise
        }
        return result
      }),
      clock,
    )
    const { id } = await team()
    const userId = someone()
    await here.tenants.addMember(id, userId, 'member')
    const answer = slow.memberships.roleOf(userId, id)
    await held.promise
    hold = false
    await slow.tenants.removeMember(id, userId)
    gate.resolve()
    expect(await answer).toBe('member')
    expect(await slow.memberships.roleOf(userId, id)).toBeUndefined()
  })

  test('stay bounded, whoever asks for how many tenants', async () => {
    const small = replica(db, clock, 10)
    const { id, ownerId } = await team()
    for (let i = 0; i < 50; i++) await small.memberships.roleOf(ownerId, someone())
    expect(await small.memberships.roleOf(ownerId, id)).toBe('owner')
    for (const odd of ['', 'x', `${id}'--`, '__proto__']) {
      expect(small.memberships.roleOf(ownerId, odd)).toBeUndefined()
      expect(small.memberships.roleOf(odd, id)).toBeUndefined()
    }
  })
})

describe('access', () => {
  test('gives owners everything, members what is declared for them, and strangers nothing', async () => {
    const { id, ownerId } = await team()
    const memberId = someone()
    await here.tenants.addMember(id, memberId, 'member')
    const asked = async (userId: string) =>
      Promise.all(
        ['tenants.read', 'members.read', 'tenants.manage', 'members.manage', 'notes.write', '__proto__'].map(
          async (p) => here.access.can(userActor(userId), p, id),
        ),
      )
    expect(await asked(ownerId)).toEqual([true, true, true, true, true, true])
    expect(await asked(memberId)).toEqual([true, true, false, false, false, false])
    expect(await asked(someone())).toEqual([false, false, false, false, false, false])
  })

  test('gives nobody anything without a tenant, and the anonymous nothing anywhere', async () => {
    const { id, ownerId } = await team()
    expect(await here.access.can(userActor(ownerId), 'tenants.read', null)).toBe(false)
    expect(await here.access.can({ kind: 'anonymous', id: null }, 'tenants.read', id)).toBe(false)
    expect(await here.access.can({ kind: 'anonymous', id: ownerId }, 'tenants.read', id)).toBe(false)
    expect(await here.access.can({ kind: 'system', id: null }, 'tenants.read', id)).toBe(false)
  })

  test('never gives more than the scopes of the credential, nor more than its owner has', async () => {
    const { id, ownerId } = await team()
    const can = (scopes: string[], permission: string, userId = ownerId) =>
      here.access.can(userActor(userId, { scopes }), permission, id)
    expect(await can(['tenants.read'], 'tenants.read')).toBe(true)
    expect(await can(['tenants.read'], 'tenants.manage')).toBe(false)
    expect(await can([], 'tenants.read')).toBe(false)
    expect(await can(['*'], 'tenants.manage')).toBe(true)
    expect(await can(['*'], 'tenants.manage', someone())).toBe(false)
    expect(await can(['tenants'], 'tenants.read')).toBe(false)
  })
})

test('requireTenantId never takes the absence of a tenant for all of them', () => {
  expect(() => requireTenantId()).toThrow(code('tenant.required'))
  runWithContext(createContext({ requestId: 'r' }), () =>
    expect(() => requireTenantId()).toThrow(code('tenant.required')),
  )
  runWithContext(createContext({ requestId: 'r', tenantId: 't' }), () => expect(requireTenantId()).toBe('t'))
})
