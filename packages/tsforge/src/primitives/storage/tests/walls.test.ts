import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { createContext, runWithContext } from '../../../kernel/context.ts'
import { createStorage } from '../create-storage.ts'
import { memory } from '../drivers/memory.ts'
import type { Storage } from '../storage.ts'

let storage: Storage
beforeEach(() => {
  storage = createStorage(memory())
})
const read = async (key: string): Promise<string> => (await storage.get(key)).text()
const listed = async (): Promise<string[]> => (await storage.list()).objects.map(({ key }) => key)

describe('walls', () => {
  it('part tenants', async () => {
    const [ada, bob] = [randomUUID(), randomUUID()]
    await storage.tenant(ada).put('file', 'ada')
    await storage.tenant(bob).put('file', 'bob')
    expect(await (await storage.tenant(ada).get('file')).text()).toBe('ada')
    expect((await storage.tenant(bob).list()).objects.map(({ key }) => key)).toEqual(['file'])
    expect(await read(`tenants/${ada}/file`)).toBe('ada')
    await storage.tenant(bob).deletePrefix('x/')
    const own = storage.tenant()
    await expect(own.get('file')).rejects.toMatchObject({ code: 'tenant.required' })
    const context = createContext({ requestId: 'r', tenantId: ada })
    expect(await runWithContext(context, async () => (await own.get('file')).text())).toBe('ada')
    expect(() => storage.tenant('../x')).toThrow(expect.objectContaining({ code: 'storage.key_invalid' }))
  })

  it('stand around scopes within scopes', async () => {
    await storage.scope('a/').scope('b/').put('c', 'x')
    expect(await listed()).toEqual(['a/b/c'])
    for (const key of ['../c', '..', '/a', 'a//b', './a', 'a/../../b'])
      await expect(storage.scope('a/').put(key, 'x'), key).rejects.toMatchObject({ code: 'storage.key_invalid' })
    for (const prefix of ['a', '../', '/', 'a//']) expect(() => storage.scope(prefix), prefix).toThrow()
    await expect(storage.deletePrefix('')).rejects.toMatchObject({ code: 'storage.key_invalid' })
    await expect(storage.deletePrefix('a')).rejects.toMatchObject({ code: 'storage.key_invalid' })
  })
})
