import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createStorage } from '../create-storage.ts'
import { disk } from '../drivers/disk.ts'
import { memory } from '../drivers/memory.ts'
import { s3 } from '../drivers/s3.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'forge-hostile-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const ups = [
  '..',
  '.',
  '%2e%2e',
  '%2E%2e',
  '%252e%252e',
  '..%2f..',
  '..%5c..',
  '..\\..',
  '．．',
  '%c0%ae%c0%ae',
  '..%00',
  '..;',
]
const slashes = ['/', '//', '\\', '%2f', '%5c', '%252f', '∕', '⁄', '／', '＼']
/** More than a hundred ways to name what lies beside the folder. */
const keys: readonly string[] = [
  ...new Set([
    ...ups.flatMap((up) => slashes.map((slash) => `${up}${slash}canary`)).filter((key) => key !== '..;/canary'),
    ...ups.filter((up) => up !== '..;'),
    ...slashes.map((slash) => `${slash}etc${slash}canary`),
    'a/../../canary',
    'a/./canary',
    'a//canary',
    'a/',
    '',
    '\0',
    'canary\0.png',
    'canary\n',
    'canary\r\nx-injected: 1',
    '\u202egnp.canary',
    'ca\u200bnary',
    '\ufeffcanary',
    'e\u0301',
    '\ud800',
    'a'.repeat(256),
    `${'a/'.repeat(512)}b`,
    'ü'.repeat(128),
    'C:\\canary',
    '\\\\server\\canary',
    '\u0085canary',
    '\u007f',
  ]),
]

describe('hostile keys', () => {
  it('are a hundred and more', () => expect(keys.length).toBeGreaterThan(100))

  it.each([
    ['memory', () => memory()],
    ['disk', () => disk({ path: join(folder, 'store') })],
    ['s3', () => s3({ bucket: 'none', endpoint: 'http://127.0.0.1:1' })],
  ])('are refused before the driver %s hears of them', async (_, make) => {
    const storage = createStorage(make())
    for (const key of keys) {
      for (const each of [storage, storage.scope('a/'), storage.tenant('0198c0de-0000-7000-8000-000000000001')])
        await expect(each.put(key, 'x'), JSON.stringify(key)).rejects.toMatchObject({ code: 'storage.key_invalid' })
    }
    await storage.close()
  })

  it('reach nothing outside of the folder, and nothing in it, as somebody who is not root', () => {
    const isRoot = process.getuid?.() === 0
    const root = join(folder, 'store')
    const keysFile = join(folder, 'keys.json')
    mkdirSync(root)
    chmodSync(folder, 0o777)
    chmodSync(root, 0o777)
    writeFileSync(keysFile, JSON.stringify(keys.map((key) => key.toWellFormed())))
    for (const name of ['canary', 'store-canary']) {
      writeFileSync(join(folder, name), 'canary')
      chmodSync(join(folder, name), 0o666)
    }
    const worker = fileURLToPath(new URL('./hostile-worker.ts', import.meta.url))
    const args = [process.execPath, '--conditions=source', worker, root, keysFile]
    const [command = '', ...rest] = isRoot
      ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', ...args]
      : args
    const output = execFileSync(command, rest, { encoding: 'utf8', env: { PATH: process.env['PATH'] } })
    const results = JSON.parse(output) as Record<string, readonly string[]>
    expect(Object.keys(results).length).toBeGreaterThan(100)
    // A lone surrogate, made well-formed for JSON, is a letter like others.
    for (const [key, outcomes] of Object.entries(results))
      if (key !== '"\ufffd"') expect(new Set(outcomes), key).toEqual(new Set(['storage.key_invalid']))
    for (const name of ['canary', 'store-canary']) expect(readFileSync(join(folder, name), 'utf8')).toBe('canary')
    expect(readdirSync(folder).toSorted()).toEqual(['canary', 'keys.json', 'store', 'store-canary'])
  })

  it('that are legal but odd stay what they are', async () => {
    const storage = createStorage(disk({ path: join(folder, 'store') }))
    for (const key of [
      '...',
      '.hidden',
      'con',
      'nul.txt',
      'a b',
      '-rf',
      '~root',
      '$HOME',
      'a;b',
      '100%',
      'é',
      '%41',
      'A',
      'a',
    ]) {
      await storage.put(key, key)
      expect(await (await storage.get(key)).text()).toBe(key)
    }
    expect((await storage.list()).objects).toHaveLength(14)
  })
})

describe('links in the folder of the disk', () => {
  let secret: Buffer
  beforeEach(async () => {
    // Objects of somebody else's store: nothing but the way to them gives them away.
    await createStorage(disk({ path: join(folder, 'foreign') })).put('a', 'canary')
    renameSync(join(folder, 'foreign', 'objects'), join(folder, 'outside'))
    secret = readFileSync(join(folder, 'outside', 'f_a'))
  })

  it('are not followed, wherever they lie', async () => {
    const root = join(folder, 'store')
    const storage = createStorage(disk({ path: root }))
    await storage.put('dir/a', 'mine')
    await storage.put('b', 'mine')
    const objects = join(root, 'objects')
    rmSync(join(objects, 'd_dir'), { recursive: true })
    rmSync(join(objects, 'f_b'))
    symlinkSync(join(folder, 'outside'), join(objects, 'd_dir'))
    symlinkSync(join(folder, 'outside', 'f_a'), join(objects, 'f_b'))
    for (const key of ['dir/a', 'b']) {
      await expect(storage.get(key)).rejects.toMatchObject({ code: 'storage.unavailable' })
      await expect(storage.head(key)).rejects.toMatchObject({ code: 'storage.unavailable' })
      await expect(storage.copy(key, 'c')).rejects.toMatchObject({ code: 'storage.unavailable' })
    }
    await expect(storage.put('dir/a', 'x')).rejects.toMatchObject({ code: 'storage.unavailable' })
    await expect(storage.put('dir/new', 'x')).rejects.toMatchObject({ code: 'storage.unavailable' })
    await expect(storage.delete('dir/a')).rejects.toMatchObject({ code: 'storage.unavailable' })
    expect(await storage.list()).toEqual({ objects: [], folders: [], cursor: null })
    expect(readFileSync(join(folder, 'outside', 'f_a'))).toEqual(secret)
    expect(readdirSync(join(folder, 'outside'))).toEqual(['f_a'])
  })

  it('are replaced by what is stored under their name, not written through', async () => {
    const root = join(folder, 'store')
    const storage = createStorage(disk({ path: root }))
    await storage.put('a', 'x')
    rmSync(join(root, 'objects', 'f_b'), { force: true })
    symlinkSync(join(folder, 'outside', 'f_a'), join(root, 'objects', 'f_b'))
    await storage.put('b', 'mine')
    expect(await (await storage.get('b')).text()).toBe('mine')
    expect(readFileSync(join(folder, 'outside', 'f_a'))).toEqual(secret)
  })

  it('may lead to it: the folder itself may be one', async () => {
    symlinkSync(join(folder, 'outside'), join(folder, 'link'))
    const storage = createStorage(disk({ path: join(folder, 'link', 'store') }))
    await storage.put('a/b', 'mine')
    expect(await (await storage.get('a/b')).text()).toBe('mine')
  })

  it('and its files are for nobody else', async () => {
    const root = join(folder, 'store')
    await createStorage(disk({ path: root })).put('a/b', 'x')
    for (const path of ['', 'objects', 'objects/d_a', 'objects/d_a/f_b', 'drafts'])
      expect(statSync(join(root, path)).mode & 0o077, path).toBe(0)
  })

  it('are no reason to serve a file that was damaged', async () => {
    const root = join(folder, 'store')
    const storage = createStorage(disk({ path: root }))
    await storage.put('a', 'x')
    for (const damage of ['', 'short', 'x'.repeat(10_000)]) {
      writeFileSync(join(root, 'objects', 'f_a'), damage)
      await expect(storage.get('a')).rejects.toMatchObject({ code: 'storage.unavailable' })
    }
  })
})

describe('headers of objects', () => {
  it.each([
    [{ contentType: 'text/html\r\nx: y' }],
    [{ contentType: 'text' }],
    [{ contentType: 'text/plain; a=b\nc' }],
    [{ cacheControl: 'no-store\r\nset-cookie: a=b' }],
    [{ metadata: { 'a\r\nb': 'c' } }],
    [{ metadata: { a: 'b\r\nc' } }],
    [{ metadata: { a: 'ü' } }],
    [{ metadata: { 'forge-sha256': 'x' } }],
    [{ metadata: { A: 'b' } }],
    [{ metadata: { a: 'x'.repeat(3000) } }],
    [{ disposition: { type: 'inline; filename=x' as 'inline' } }],
    [{ sha256: 'xyz' }],
    [{ size: -1 }],
    [{ size: Number.NaN }],
  ])('are refused when they are %j', async (options) => {
    await expect(createStorage(memory()).put('a', 'x', options)).rejects.toMatchObject({
      code: 'storage.option_invalid',
    })
  })

  it('hold names of files without anything that ends a line or turns it around', async () => {
    const filename = '../a\r\nb: c\u202e"\\\u0000\ud800.txt'
    const { contentDisposition } = await createStorage(memory()).put('a', 'x', {
      disposition: { type: 'attachment', filename },
    })
    expect(contentDisposition).toMatch(/^attachment; filename="[\x20-\x7e]+"; filename\*=UTF-8''[\w.%~!*'()-]+$/)
    expect(contentDisposition).not.toMatch(/%0D|%0A|%00|%2F|%5C|%E2%80%AE/i)
  })
})
