import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import { port } from '../../kernel/plugin.ts'
import type { Port, Ports } from '../../kernel/plugin.ts'
import { arrange } from '../arrange.ts'

const db: Port<string> = port('db')
const keys: Port<string> = port('keys', async () =>
  provider('keys', keys, { db: port('db', async () => provider('db', db)) }),
)

function provider(name: string, provides: Port<string>, needs: Ports = {}): Feature {
  return defineFeature<object, Ports, string>({ name, provides, needs, setup: () => name })
}
function consumer(name: string, needs: Ports = {}): Feature {
  return defineFeature<object, Ports>({ name, needs, setup: () => undefined })
}
const names = (plugins: readonly Feature[]): string[] => plugins.map((plugin) => plugin.name)

describe('arrange', () => {
  it('puts providers before those who need them, and keeps the order of strangers', async () => {
    const ordered = await arrange([consumer('b', { db }), consumer('a'), provider('pg', db), consumer('c')])
    expect(names(ordered)).toEqual(['pg', 'b', 'a', 'c'])
  })

  it('brings the standard provider of a port, and what that one needs', async () => {
    expect(names(await arrange([consumer('accounts', { keys })]))).toEqual(['db', 'keys', 'accounts'])
  })

  it('prefers the provider that the app lists', async () => {
    const own = provider('vault', keys)
    expect(names(await arrange([consumer('accounts', { keys }), own]))).toEqual(['vault', 'accounts'])
  })

  it('says who needs what nobody provides', async () => {
    await expect(arrange([consumer('notes', { db })])).rejects.toMatchObject({
      code: 'boot.missing_provider',
      message: '"notes" needs "db", which nothing in the app provides.',
    })
  })

  it('does not take a standard provider for another port', async () => {
    const wrong = port<string>('cache', async () => provider('db', db))
    await expect(arrange([consumer('notes', { wrong })])).rejects.toMatchObject({ code: 'boot.missing_provider' })
  })

  it('refuses two providers of one port', async () => {
    await expect(arrange([provider('pg', db), provider('lite', db)])).rejects.toMatchObject({
      code: 'boot.duplicate_provider',
      meta: { first: 'pg', second: 'lite', port: 'db' },
    })
  })

  it('refuses the same feature twice', async () => {
    await expect(arrange([consumer('notes'), consumer('notes')])).rejects.toMatchObject({
      code: 'boot.duplicate_plugin',
    })
  })

  it('shows the circle when needs form one', async () => {
    const x = port<string>('x')
    const y = port<string>('y')
    const z = port<string>('z')
    const circle = [provider('x', x, { y }), provider('y', y, { z }), provider('z', z, { x })]
    await expect(arrange(circle)).rejects.toMatchObject({ code: 'lifecycle.cycle', meta: { circle: 'x → y → z → x' } })
  })

  it('says that a factory was listed without being called', async () => {
    function accounts(): Feature {
      return consumer('accounts')
    }
    await expect(arrange([accounts as unknown as Feature])).rejects.toMatchObject({
      code: 'boot.not_a_plugin',
      message: 'features[0] is the function accounts, not a feature.',
    })
  })
})
