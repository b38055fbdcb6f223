import { afterEach, describe, expect, it } from 'vitest'
import { createFakeClock } from '../../testing/clock.ts'
import { route } from '../index.ts'
import type { Route } from '../index.ts'
import { Later } from '../later.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'
import type { Lab } from './fixture.ts'

afterEach(closeLabs)

const app = (environment: 'development' | 'test' | 'production') =>
  ({ name: 'lab', version: '1.0.0', environment, root: '/' }) as const

const search = (pattern: string): Route =>
  route({
    method: 'GET',
    url: `/search`,
    id: 'search',
    summary: 'Search',
    access: 'public',
    query: Type.Object({ q: Type.String({ pattern }) }),
    data: Type.Object({ q: Type.String() }),
    handler: ({ query }) => query,
  })
const healthy: Route = route({
  method: 'GET',
  url: '/fine',
  id: 'fine',
  summary: 'Fine',
  access: 'public',
  data: Type.Object({ ok: Type.Boolean() }),
  handler: () => ({ ok: true }),
})

describe('compiling', () => {
  it.each(['development', 'test'] as const)(
    'ends the start in %s over a schema that cannot be compiled',
    async (environment) => {
      await expect(lab([search('(')], { app: app(environment) })).rejects.toThrow(/^GET \/search: /)
      await expect(lab([search('^a')], { app: app(environment) })).resolves.toBeDefined()
    },
  )

  it('waits in production for the first request, and then happens once', async () => {
    const { http } = await lab([search('^a'), healthy], { app: app('production') })
    for (const q of ['abc', 'abd']) expect((await http.inject(`/search?q=${q}`)).json()).toMatchObject({ data: { q } })
    expect((await http.inject('/search?q=b')).statusCode).toBe(422)
    expect((await http.inject('/search')).statusCode).toBe(422)
    expect((await http.inject('/fine?x=1')).json()).toMatchObject({ error: { code: 'http.validation_failed' } })
  })

  it('is done in production soon after the start, and tells what it cannot compile without harm to the others', async () => {
    const clock = createFakeClock()
    const made: Lab = await lab([search('('), healthy], { app: app('production'), clock })
    await made.http.listen({ host: '127.0.0.1', port: 0 })
    expect(made.logged).toEqual([])
    await clock.advance(1000)
    for (let turn = 0; turn < 20; turn++) await new Promise((next) => setImmediate(next))
    expect(made.logged).toHaveLength(1)
    expect(String(made.logged.map(({ fields }) => fields['err']))).toContain('GET /search: ')
    expect((await made.http.inject('/fine')).statusCode).toBe(200)
    expect((await made.http.inject('/search?q=a')).json()).toMatchObject({ error: { code: 'internal' } })
  })
})

describe('later work', () => {
  it('is done once, by whoever comes first', () => {
    const done: string[] = []
    const later = new Later('GET /x')
    const [first, second] = ['first', 'second'].map((name) => later.add(() => (done.push(name), name)))
    expect(second?.()).toBe('second')
    while (later.step());
    expect([first?.(), second?.(), ...done]).toEqual(['first', 'second', 'second', 'first'])
  })
})
