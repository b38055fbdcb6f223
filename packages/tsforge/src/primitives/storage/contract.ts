import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createStorage } from './create-storage.ts'
import type { StorageDriver } from './driver.ts'
import type { RootStorage, Storage } from './storage.ts'

export interface StorageContract {
  readonly name: string
  /** A driver over a store that may be shared with other tests: all keys are below a prefix of their own. */
  create(): StorageDriver | Promise<StorageDriver>
  /** Bytes from which a body goes in several parts; default 5 MiB. */
  readonly partBytes?: number
}

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex')

/** Pieces of a body that comes as a stream of unknown length. */
export function streamed(bytes: Buffer, piece = 60_000): Readable {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length; at += piece) pieces.push(bytes.subarray(at, at + piece))
  return Readable.from(pieces, { objectMode: false })
}

/** Fails in the middle, as a connection does that is reset. */
export function breaking(bytes: number): Readable {
  let left = bytes
  return new Readable({
    read() {
      if (left <= 0) return void this.destroy(Object.assign(new Error('reset'), { code: 'ECONNRESET' }))
      const size = Math.min(left, 64 * 1024)
      left -= size
      this.push(Buffer.alloc(size, 1))
    },
  })
}

/** The exam of a storage driver, and of the facade over it. Call it in a vitest file of your own. */
export function storageContract({ name, create, partBytes = 5 * 2 ** 20 }: StorageContract): void {
  describe(`storage contract: ${name}`, () => {
    let root: RootStorage
    let storage: Storage
    beforeAll(async () => {
      root = createStorage(await create())
    })
    afterAll(() => root.close())
    beforeEach(() => {
      storage = root.scope(`${randomUUID()}/`)
    })
    const read = async (key: string): Promise<string> => (await storage.get(key)).text()
    const fill = async (keys: readonly string[]): Promise<void> => {
      for (let at = 0; at < keys.length; at += 50)
        await Promise.all(keys.slice(at, at + 50).map((key) => storage.put(key, key)))
    }
    const listed = async (options = {}): Promise<string[]> =>
      (await storage.list(options)).objects.map(({ key }) => key)

    describe('objects', () => {
      const body = Buffer.from('Grüße, 世界')
      it.each([
        ['text', () => body.toString()],
        ['bytes', () => body],
        ['a typed array', () => new Uint8Array(body)],
        ['a blob', () => new Blob([body])],
        ['a stream of Node', () => streamed(body, 3)],
        ['a stream of the web', () => new Blob([body]).stream()],
        [
          'a generator',
          () =>
            (async function* () {
              yield body.subarray(0, 2)
              yield body.subarray(2)
            })(),
        ],
      ] as const)('come back as they were stored from %s', async (_, make) => {
        const put = await storage.put('a', make() as never)
        expect(put).toMatchObject({
          key: 'a',
          size: body.length,
          contentType: 'application/octet-stream',
          metadata: {},
        })
        const got = await storage.get('a')
        expect(got).toMatchObject({ key: 'a', size: body.length, etag: put.etag, range: undefined })
        expect(await got.text()).toBe(body.toString())
      })

      it('may be empty', async () => {
        expect(await storage.put('empty', '')).toMatchObject({ size: 0 })
        expect(await read('empty')).toBe('')
        await storage.put('stream', Readable.from([]))
        expect(await read('stream')).toBe('')
      })

      it('have the etag and time of their last change', async () => {
        const first = await storage.put('a', 'one')
        const second = await storage.put('a', 'two')
        expect(first.etag).toMatch(/^"[^"]+"$/)
        expect(second.etag).not.toBe(first.etag)
        expect(second.updatedAt.getTime()).toBeGreaterThan(Date.UTC(2020, 0, 1))
        expect(await storage.head('a')).toMatchObject({ etag: second.etag, size: 3 })
        expect(await read('a')).toBe('two')
      })

      it('carry their headers and metadata', async () => {
        const described = {
          contentType: 'text/plain; charset=utf-8',
          disposition: { type: 'attachment', filename: 'Übersicht "1".txt' },
          cacheControl: 'public, max-age=60',
          metadata: { 'owner-id': '42', note: 'a b; c=d' },
        } as const
        const expected = {
          contentType: 'text/plain; charset=utf-8',
          contentDisposition: `attachment; filename="_bersicht _1_.txt"; filename*=UTF-8''%C3%9Cbersicht%20%221%22.txt`,
          cacheControl: 'public, max-age=60',
          metadata: { 'owner-id': '42', note: 'a b; c=d' },
        }
        expect(await storage.put('a', 'x', described)).toMatchObject(expected)
        expect(await storage.head('a')).toMatchObject(expected)
        expect(await storage.get('a').then(async (got) => (await got.bytes(), got))).toMatchObject(expected)
      })

      it('know their check sum when it was known before', async () => {
        const body = randomBytes(1000)
        await storage.put('a', streamed(body), { sha256: sha256(body) })
        expect(await storage.head('a')).toMatchObject({ sha256: sha256(body), metadata: {} })
      })

      it('are not there before and after', async () => {
        expect(await storage.head('a')).toBeUndefined()
        expect(await storage.exists('a')).toBe(false)
        await expect(storage.get('a')).rejects.toMatchObject({ code: 'storage.not_found' })
        await storage.put('a', 'x')
        expect(await storage.exists('a')).toBe(true)
        await storage.delete('a')
        await storage.delete('a')
        expect(await storage.exists('a')).toBe(false)
      })

      it('are made once when only made', async () => {
        const made = await Promise.allSettled(
          Array.from({ length: 8 }, (_, at) => storage.put('a', `body ${at}`, { createOnly: true })),
        )
        expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
        for (const each of made)
          if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'storage.exists' })
        await expect(storage.put('a', streamed(Buffer.from('x')), { createOnly: true })).rejects.toMatchObject({
          code: 'storage.exists',
        })
        expect(await read('a')).toMatch(/^body \d$/)
      })

      it('of the same beginning, of one name and of folders live beside each other', async () => {
        const keys = [
          'a',
          'a/a',
          'a/a/a',
          'a.b',
          'A',
          'a b',
          'ä',
          '日本/語',
          'x'.repeat(250),
          `${'ü'.repeat(120)}/${'Z'.repeat(250)}`,
          'con',
          '%41',
          '~',
          '*?',
          `quo"te's`,
          'a+b&c=d#e',
        ]
        await fill(keys)
        for (const key of keys) expect(await read(key)).toBe(key)
        const bytes = (key: string): string => Buffer.from(key).toString('hex')
        expect(await listed()).toEqual(keys.toSorted((a, b) => (bytes(a) < bytes(b) ? -1 : 1)))
      })
    })

    describe('reading', () => {
      it.each([
        [{ start: 0, end: 0 }, '0', 0, 0],
        [{ start: 2, end: 4 }, '234', 2, 4],
        [{ start: 7 }, '789', 7, 9],
        [{ start: 7, end: 100 }, '789', 7, 9],
        [{ last: 3 }, '789', 7, 9],
        [{ last: 100 }, '0123456789', 0, 9],
      ])('gives the range %j', async (range, text, start, end) => {
        await storage.put('a', '0123456789')
        const got = await storage.get('a', { range })
        expect(got).toMatchObject({ size: 10, range: { start, end } })
        expect(await got.text()).toBe(text)
      })

      it('refuses a range that is not there', async () => {
        await storage.put('a', '0123456789')
        for (const range of [
          { start: 10 },
          { start: 10, end: 20 },
          { start: 5, end: 4 },
          { last: 0 },
          { start: -1 },
          { start: 0.5 },
        ])
          await expect(storage.get('a', { range }), JSON.stringify(range)).rejects.toMatchObject({
            code: 'storage.range_invalid',
          })
      })

      it('heeds its conditions', async () => {
        const { etag } = await storage.put('a', 'one')
        expect(await (await storage.get('a', { ifMatch: etag, ifNoneMatch: '"other"' })).text()).toBe('one')
        await expect(storage.get('a', { ifNoneMatch: etag })).rejects.toMatchObject({ code: 'storage.not_modified' })
        await expect(storage.get('a', { ifMatch: '"other"' })).rejects.toMatchObject({
          code: 'storage.precondition_failed',
        })
      })

      it('gives the version that it began with while another one is stored', async () => {
        const first = Buffer.alloc(3_000_000, 'a')
        await storage.put('a', first)
        const got = await storage.get('a')
        await storage.put('a', Buffer.alloc(3_000_000, 'b'))
        expect((await got.bytes()).equals(first)).toBe(true)
      })
    })

    describe('storing', () => {
      it.each([0, 1, partBytes - 1, partBytes, partBytes + 1, 3 * partBytes + 12_345])(
        'takes a stream of %i bytes',
        async (size) => {
          const body = randomBytes(size)
          expect(await storage.put('a', streamed(body))).toMatchObject({ size })
          expect(sha256(await (await storage.get('a')).bytes())).toBe(sha256(body))
          expect(await storage.put('b', streamed(body), { size, sha256: sha256(body) })).toMatchObject({ size })
        },
      )

      it('leaves what was there when a body breaks, however late', async () => {
        await storage.put('kept', 'old')
        for (const bytes of [0, 100_000, 2 * partBytes + 100]) {
          await expect(storage.put('a', breaking(bytes))).rejects.toMatchObject({ code: 'ECONNRESET' })
          await expect(storage.put('kept', breaking(bytes))).rejects.toMatchObject({ code: 'ECONNRESET' })
        }
        expect(await listed()).toEqual(['kept'])
        expect(await read('kept')).toBe('old')
      })

      it('refuses a body that is not what was announced', async () => {
        const body = randomBytes(1000)
        const wrong = [{ size: 999 }, { size: 1001 }, { sha256: sha256('other') }]
        for (const options of wrong) {
          await expect(storage.put('a', streamed(body), options)).rejects.toMatchObject({
            code: 'storage.body_mismatch',
          })
        }
        for (const limit of [999, 10])
          await expect(storage.put('a', streamed(body), { maxSize: limit })).rejects.toMatchObject({
            code: 'storage.body_too_large',
            meta: { limit },
          })
        const large = streamed(Buffer.alloc(2 * partBytes + 1))
        await expect(storage.put('a', large, { maxSize: 2 * partBytes })).rejects.toMatchObject({
          code: 'storage.body_too_large',
        })
        expect(await listed()).toEqual([])
      })

      it('ends with its signal, and lets go of the source', async () => {
        const stop = new AbortController()
        let sent = 0
        const endless = new Readable({
          read() {
            if (++sent === 200) stop.abort()
            // Then it says nothing any more.
            if (sent <= 200) this.push(Buffer.alloc(65_536))
          },
        })
        await expect(storage.put('a', endless, { signal: stop.signal })).rejects.toThrow()
        expect(endless.destroyed).toBe(true)
        expect(await listed()).toEqual([])
      })

      it('takes a hundred at once', async () => {
        const keys = Array.from({ length: 100 }, (_, at) => `k${at}`)
        const bodies = keys.map(() => randomBytes(100_000))
        await Promise.all(keys.map((key, at) => storage.put(key, streamed(bodies[at]!))))
        const came = await Promise.all(keys.map(async (key) => sha256(await (await storage.get(key)).bytes())))
        expect(came).toEqual(bodies.map(sha256))
      })

      it('leaves one whole body when many write one key', async () => {
        const bodies = Array.from({ length: 20 }, (_, at) => Buffer.alloc(200_000, at))
        await Promise.all(bodies.map((body) => storage.put('dir/a', streamed(body))))
        const stored = await (await storage.get('dir/a')).bytes()
        expect(bodies.some((body) => body.equals(stored))).toBe(true)
      })
    })

    describe('copies', () => {
      it('keep what describes them, or get it anew', async () => {
        await storage.put('a', 'body', { contentType: 'text/plain', metadata: { a: '1' }, cacheControl: 'no-cache' })
        expect(await storage.copy('a', 'b/c')).toMatchObject({
          key: 'b/c',
          contentType: 'text/plain',
          metadata: { a: '1' },
          cacheControl: 'no-cache',
        })
        expect(await storage.copy('a', 'd', { contentType: 'text/html' })).toMatchObject({
          contentType: 'text/html',
          metadata: {},
        })
        expect(await read('b/c')).toBe('body')
      })

      it('replace, also themselves', async () => {
        await storage.put('a', 'one')
        await storage.put('b', 'two')
        await storage.copy('a', 'b')
        expect(await read('b')).toBe('one')
        expect(await storage.copy('a', 'a', { contentType: 'text/plain' })).toMatchObject({
          contentType: 'text/plain',
          size: 3,
        })
        expect(await read('a')).toBe('one')
        await storage.move('a', 'a')
        expect(await read('a')).toBe('one')
      })

      it('are of the version that was meant', async () => {
        const { etag } = await storage.put('a', 'one')
        await storage.put('a', 'two')
        await expect(storage.copy('a', 'b', { ifMatch: etag })).rejects.toMatchObject({
          code: 'storage.precondition_failed',
        })
        await expect(storage.copy('none', 'b')).rejects.toMatchObject({ code: 'storage.not_found' })
        expect(await storage.exists('b')).toBe(false)
      })

      it('are all that is left of what was moved', async () => {
        await storage.put('a b/ü+', 'one')
        await storage.move('a b/ü+', 'c')
        expect(await listed()).toEqual(['c'])
      })
    })

    describe('lists', () => {
      const keys = ['a', 'b/', 'b/1', 'b/2', 'b/c/1', 'b/c/2', 'b-', 'c/d/e', 'z'].filter((key) => !key.endsWith('/'))
      it('are ordered, by prefix and by folder', async () => {
        await fill(keys)
        expect(await listed()).toEqual(['a', 'b-', 'b/1', 'b/2', 'b/c/1', 'b/c/2', 'c/d/e', 'z'])
        expect(await listed({ prefix: 'b' })).toEqual(['b-', 'b/1', 'b/2', 'b/c/1', 'b/c/2'])
        expect(await listed({ prefix: 'b/c' })).toEqual(['b/c/1', 'b/c/2'])
        expect(await listed({ prefix: 'b/c/2' })).toEqual(['b/c/2'])
        expect(await storage.list({ prefix: 'none/' })).toEqual({ objects: [], folders: [], cursor: null })
        const top = await storage.list({ delimiter: '/' })
        expect([top.objects.map(({ key }) => key), top.folders]).toEqual([
          ['a', 'b-', 'z'],
          ['b/', 'c/'],
        ])
        const below = await storage.list({ delimiter: '/', prefix: 'b/' })
        expect([below.objects.map(({ key }) => key), below.folders]).toEqual([['b/1', 'b/2'], ['b/c/']])
        const partly = await storage.list({ delimiter: '/', prefix: 'b/c' })
        expect([partly.objects, partly.folders]).toEqual([[], ['b/c/']])
      })

      it.each([1, 2, 3])('come in pages of %i without gaps and repetitions', async (limit) => {
        await fill(keys)
        for (const delimiter of [undefined, '/'] as const) {
          const seen: string[] = []
          for (let cursor: string | null | undefined; cursor !== null;) {
            const page: Awaited<ReturnType<Storage['list']>> = await storage.list({
              limit,
              ...(delimiter !== undefined && { delimiter }),
              ...(cursor !== undefined && { cursor }),
            })
            expect(page.objects.length + page.folders.length).toBeLessThanOrEqual(limit)
            seen.push(...page.objects.map(({ key }) => key), ...page.folders)
            cursor = page.cursor
          }
          const all = delimiter === undefined ? keys : ['a', 'b-', 'b/', 'c/', 'z']
          expect(seen.toSorted()).toEqual(all.toSorted())
        }
      })

      // Thousands of calls: a ceiling for the worst machine.
      it('and deleting go beyond a thousand keys', { timeout: 300_000 }, async () => {
        const many = Array.from({ length: 2100 }, (_, at) => `many/${String(at).padStart(5, '0')}`)
        await fill(many)
        await storage.put('many-more', 'x')
        const seen: string[] = []
        for await (const key of storage.keys('many/')) seen.push(key)
        expect(seen).toEqual(many)
        expect((await storage.list()).objects).toHaveLength(1000)
        await storage.deleteMany(many.slice(0, 1050))
        expect(await storage.deletePrefix('many/')).toBe(1050)
        expect(await listed()).toEqual(['many-more'])
      })
    })
  })
}
