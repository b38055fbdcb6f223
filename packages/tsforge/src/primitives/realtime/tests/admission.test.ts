import { randomUUID } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { TestUser } from '../../../testing/app.ts'
import { createTestApp } from '../../../testing/app.ts'
import type { EventStream } from '../../../testing/event-stream.ts'
import { realtime } from '../index.ts'
import { streamClosed, streamOpened } from '../events.ts'
import { greeted, next, numbers, pass, seen, tenantOf, world } from './fixture.ts'
import type { World } from './fixture.ts'

const refusal = ({ status, body }: EventStream) => [status, (body as { error: { code: string } }).error.code]

const team = async (owner: TestUser, member: TestUser): Promise<string> => {
  const made = await owner.post<{ id: string }>('/api/v1/tenants', { name: 'Team' })
  const tenant = made.body.data.id
  await owner.post(`/api/v1/tenants/${tenant}/members`, { user_id: member.id, role: 'member' }, { tenant })
  return tenant
}

describe('who may listen', () => {
  it('is nobody without a login', async () => {
    await using w = await world()
    expect(refusal(await w.open(undefined, 'topics=notes'))).toEqual([401, 'access.unauthenticated'])
    expect(refusal(await w.open(undefined, 'topics=notes', { token: 'a.b.c' }))).toEqual([401, 'auth.token_invalid'])
    expect(refusal(await w.open(undefined, 'topics=notes&ticket=st_x'))).toEqual([401, 'realtime.ticket_invalid'])
    expect(w.realtime.streams).toBe(0)
  })

  it('hears of the topics that he may in the tenant where he works, and of no other', async () => {
    await using w = await world()
    const [ada, bob] = [await w.app.register(), await w.app.register()]
    const tenant = await team(ada, bob)
    const ask = async (who: TestUser, query: string, tenantId?: string) => {
      const stream = await w.open(who, query, tenantId === undefined ? {} : { tenant: tenantId })
      if (stream.status === 200) stream.cut()
      return stream.status === 200 ? 200 : refusal(stream)
    }
    expect(await ask(bob, 'topics=notes,made', tenant)).toBe(200)
    expect(await ask(ada, 'topics=secrets', tenant)).toBe(200)
    expect(await ask(bob, 'topics=notes,secrets', tenant)).toEqual([403, 'realtime.topic_denied'])
    expect(await ask(bob, 'topics=notes', await tenantOf({ client: w.app, user: ada }))).toEqual([
      403,
      'tenant.forbidden',
    ])
    expect(await ask(bob, 'topics=notes', randomUUID())).toEqual([403, 'tenant.forbidden'])
    expect(await ask(bob, 'topics=notes,nothing', tenant)).toEqual([404, 'realtime.topic_unknown'])
    expect(await ask(bob, 'topics=', tenant)).toEqual([422, 'http.validation_failed'])
    expect(await ask(bob, `topics=${Array.from({ length: 21 }, () => 'notes').join(',')}`, tenant)).toEqual([
      422,
      'http.validation_failed',
    ])
    expect(await ask(bob, 'x=1', tenant)).toEqual([422, 'http.validation_failed'])
    await expect.poll(() => w.realtime.streams).toBe(0)
  })

  it('gives an id as he got it, or none', async () => {
    await using w = await world()
    const ada = await w.app.register()
    for (const id of ['x', '1-1', '000000000001-0000000000000001x', '-', `${'9'.repeat(60)}`]) {
      const stream = await w.open(ada, 'topics=notes', { lastEventId: id })
      expect(refusal(stream)).toEqual([400, 'realtime.position_malformed'])
    }
    expect(w.realtime.streams).toBe(0)
  })

  it('never hears of another tenant, nor of what has no tenant, also when he comes back', async () => {
    await using w = await world()
    const [ada, bob] = [await w.app.register(), await w.app.register()]
    const [mine, theirs] = [await tenantOf({ client: w.app, user: ada }), await tenantOf({ client: w.app, user: bob })]
    const start = (await w.events.head()) as string
    await using live = await w.open(ada, 'topics=notes,secrets,made,greetings')
    for (let n = 0; n < 30; n++) await w.note([mine, theirs, null][n % 3]!, n)
    const expected = Array.from({ length: 10 }, (_, at) => at * 3)
    await seen(w, live, expected)
    await using again = await w.open(ada, 'topics=notes', { lastEventId: start })
    await seen(w, again, expected)
    await w.note(mine, 100)
    await next(w, again)
    await seen(w, again, [...expected, 100])
    expect(live.text).not.toContain(theirs)
  })

  it('hears what is for him alone: of a tenant only while he works in it, without one wherever he is', async () => {
    await using w = await world()
    const [ada, bob] = [await w.app.register(), await w.app.register()]
    const home = await tenantOf({ client: w.app, user: ada })
    const shared = await team(ada, bob)
    await using atHome = await w.open(ada, 'topics=greetings')
    await using atWork = await w.open(ada, 'topics=greetings', { tenant: shared })
    await using other = await w.open(bob, 'topics=greetings', { tenant: shared })
    const start = (await w.events.head()) as string
    await w.emit(greeted, { to: ada.id, n: 1 }, { tenantId: home })
    await w.emit(greeted, { to: ada.id, n: 2 }, { tenantId: shared })
    await w.emit(greeted, { to: ada.id, n: 3 }, { tenantId: null })
    await w.emit(greeted, { to: bob.id, n: 4 }, { tenantId: shared })
    await seen(w, atHome, [1, 3])
    await seen(w, atWork, [2, 3])
    await seen(w, other, [4])
    await using again = await w.open(ada, 'topics=greetings', { tenant: shared, lastEventId: start })
    await seen(w, again, [2, 3])
  })
})

describe('a stream ends within five seconds', () => {
  const reasons = (w: World) => w.app.metrics.render().match(/forge_realtime_closed_total\{reason="(\w+)"\} 1/)?.[1]

  it('when its token ends', async () => {
    await using w = await world({ env: { FORGE_ACCOUNTS_ACCESS_TTL: '1m' } })
    const ada = await w.app.register()
    await using stream = await w.open(ada, 'topics=notes')
    await pass(w.app, 58_000)
    expect(w.realtime.streams).toBe(1)
    await pass(w.app, 7000)
    await stream.ended
    expect(reasons(w)).toBe('ended')
  })

  it('when its session is revoked, and not that of another session', async () => {
    await using w = await world()
    const ada = await w.app.register()
    const other = await w.app.login(ada)
    await using stream = await w.open(ada, 'topics=notes')
    await using stays = await w.open(other, 'topics=notes')
    await other.delete('/api/v1/me/sessions')
    await pass(w.app, 5000)
    await stream.ended
    expect(w.realtime.streams).toBe(1)
    expect(reasons(w)).toBe('ended')
    expect(stays.events).toEqual([])
  })

  it('when its user leaves the tenant, or loses the permission of a topic', async () => {
    await using w = await world()
    const [ada, bob] = [await w.app.register(), await w.app.register()]
    const tenant = await team(ada, bob)
    await using reader = await w.open(bob, 'topics=made', { tenant })
    await ada.patch(`/api/v1/tenants/${tenant}/members/${bob.id}`, { role: 'owner' }, { tenant })
    await using owner = await w.open(bob, 'topics=secrets', { tenant })
    expect(owner.status).toBe(200)
    await ada.patch(`/api/v1/tenants/${tenant}/members/${bob.id}`, { role: 'member' }, { tenant })
    await pass(w.app, 5000)
    await owner.ended
    expect(w.realtime.streams).toBe(1)
    await ada.delete(`/api/v1/tenants/${tenant}/members/${bob.id}`, { tenant })
    await pass(w.app, 5000)
    await reader.ended
  })
})

describe('a ticket', () => {
  const ask = async (who: TestUser, tenant?: string) => {
    const { status, body } = await who.post<{ ticket: string; expires_at: string }>(
      '/api/v1/stream/tickets',
      undefined,
      tenant === undefined ? {} : { tenant },
    )
    expect(status).toBe(201)
    return body.data
  }

  it('opens one stream in the tenant for which it was asked, once, and is in no log and no table', async () => {
    await using w = await world()
    const [ada, bob] = [await w.app.register(), await w.app.register()]
    const tenant = await team(ada, bob)
    const { ticket, expires_at: expiresAt } = await ask(bob, tenant)
    expect(new Date(expiresAt).getTime() - w.app.clock.now()).toBe(30_000)
    const stored = await w.app.db.query<{ all: string }>('select t::text as all from forge_realtime_tickets t')
    expect(stored.rows.length).toBe(1)
    expect(stored.rows[0]!.all).not.toContain(ticket)
    await using stream = await w.open(undefined, `topics=notes&ticket=${ticket}`)
    expect(stream.status).toBe(200)
    await w.note(tenant, 1)
    await next(w, stream)
    expect(numbers(stream)).toEqual([1])
    expect(refusal(await w.open(undefined, `topics=notes&ticket=${ticket}`))).toEqual([401, 'realtime.ticket_invalid'])
    stream.cut()
    await expect.poll(() => w.realtime.streams).toBe(0)
    expect(JSON.stringify(w.app.logged)).not.toContain(ticket)
  })

  it('is used by one of many who try at once, and by nobody when it is old', async () => {
    await using w = await world()
    const ada = await w.app.register()
    const { ticket } = await ask(ada)
    const tries = await Promise.all(Array.from({ length: 8 }, () => w.open(undefined, `topics=notes&ticket=${ticket}`)))
    expect(tries.map(({ status }) => status).toSorted()).toEqual([200, ...Array.from({ length: 7 }, () => 401)])
    for (const stream of tries) stream.cut()
    const late = await ask(ada)
    await w.app.clock.advance(30_000)
    expect((await w.open(undefined, `topics=notes&ticket=${late.ticket}`)).status).toBe(401)
  })

  it('is worth what its session is worth, and opens nothing else', async () => {
    await using w = await world()
    const ada = await w.app.register()
    const other = await w.app.login(ada)
    const { ticket } = await ask(ada)
    await using stream = await w.open(undefined, `topics=notes&ticket=${ticket}`)
    const second = await ask(ada)
    const inject = await w.app.client.get(`/api/v1/tenants?ticket=${second.ticket}`)
    expect(inject.status).toBe(401)
    await other.delete('/api/v1/me/sessions')
    await pass(w.app, 5000)
    await stream.ended
    // The second ticket was asked for by a session that is no more.
    const dead = await w.open(undefined, `topics=notes&ticket=${second.ticket}`)
    expect(refusal(dead)).toEqual([401, 'auth.session_revoked'])
    expect(w.realtime.streams).toBe(0)
  })
})

describe('limits', () => {
  it('hold for a user, a tenant and the process, and give places back', async () => {
    await using w = await world({
      env: { FORGE_REALTIME_MAX_PER_USER: '2', FORGE_REALTIME_MAX_PER_TENANT: '3', FORGE_REALTIME_MAX_STREAMS: '4' },
    })
    const [ada, bob, eve] = [await w.app.register(), await w.app.register(), await w.app.register()]
    const tenant = await team(ada, bob)
    const open = (who: TestUser) => w.open(who, 'topics=notes', { tenant })
    const first = await open(ada)
    await using _second = await open(ada)
    const third = await open(ada)
    expect([...refusal(third), third.headers['retry-after']]).toEqual([429, 'realtime.too_many_streams', '10'])
    await using _bobs = await open(bob)
    expect(refusal(await open(bob))).toEqual([429, 'realtime.too_many_streams'])
    await using _eves = await w.open(eve, 'topics=notes')
    const full = await w.open(eve, 'topics=notes')
    expect(refusal(full)).toEqual([503, 'realtime.full'])
    expect(Number(full.headers['retry-after'])).toBeGreaterThan(4)
    first.cut()
    await expect.poll(() => w.realtime.streams).toBe(3)
    await using again = await open(bob)
    expect(again.status).toBe(200)
    // Only the head was asked for: no place is taken.
    await w.app.client.send('HEAD', '/api/v1/stream?topics=notes', undefined, { token: eve.tokens.access_token })
    expect(w.realtime.streams).toBe(4)
  })
})

it('is no route at all without topics', async () => {
  await using app = await createTestApp({ features: [realtime()] })
  expect((await app.client.get('/api/v1/stream?topics=notes')).status).toBe(404)
})

it('is documented with its topics, and told to those who watch', async () => {
  await using w = await world()
  const told: unknown[] = []
  const listen = (message: unknown) => void told.push(message)
  streamOpened.subscribe(listen)
  streamClosed.subscribe(listen)
  const ada = await w.app.register()
  const stream = await w.open(ada, 'topics=notes,made')
  stream.cut()
  await expect.poll(() => told.length).toBe(2)
  streamOpened.unsubscribe(listen)
  streamClosed.unsubscribe(listen)
  expect(told).toMatchObject([
    { userId: ada.id, topics: ['notes', 'made'], resumed: false },
    { userId: ada.id, reason: 'client', events: 0 },
  ])
  const { paths } = w.app.http.document() as unknown as {
    paths: Record<
      string,
      Record<string, { description: string; responses: Record<string, { content: object }>; security: object[] }>
    >
  }
  const operation = paths['/api/v1/stream']!['get']!
  expect(Object.keys(operation.responses['200']!.content)).toEqual(['text/event-stream'])
  expect(operation.description).toContain('`notes`: `note.*`; for the tenant, needs `notes.read`')
  expect(operation.security).toEqual(expect.arrayContaining([{ streamTicket: [] }, { bearer: [] }]))
  expect(paths['/api/v1/stream/tickets']!['post']!.security).toEqual([{ bearer: [] }])
})
