import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Browser, Page } from 'playwright-core'
import type { Storage, UploadForm } from 'tsforge/storage'
import { hasS3, s3StartMs } from 'tsforge/testing/s3-server'
import { hasChromium, openChromium } from './chromium.ts'
import { diskStore, s3Store } from './stores.ts'
import type { LinkedStore } from './stores.ts'

// Another origin than that of any store.
let pages: Server
let origin: string
beforeAll(async () => {
  pages = createServer((_, res) => res.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>'))
  await new Promise<void>((done) => pages.listen(0, '127.0.0.1', done))
  origin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`
})
afterAll(() => pages.close())

const kinds = [
  ['disk', true, diskStore],
  ['s3', hasS3, s3Store],
] as const

for (const [kind, there, open] of kinds) {
  describe.runIf(there)(`links of ${kind}`, () => {
    let store: LinkedStore
    let storage: Storage
    beforeAll(async () => {
      store = await open(origin)
    }, s3StartMs)
    afterAll(() => store[Symbol.asyncDispose]())
    beforeEach(() => {
      storage = store.storage.scope(`${crypto.randomUUID()}/`)
    })

    const put = async (url: string, body: string, headers: Record<string, string>, method = 'PUT'): Promise<number> => {
      const init: RequestInit = { method, body, headers }
      return (await fetch(store.at(url), init)).status
    }
    const post = async (
      { url, fields }: UploadForm,
      file: string,
      more: Record<string, string> = {},
    ): Promise<number> => {
      const form = new FormData()
      for (const [name, value] of Object.entries({ ...fields, ...more })) form.append(name, value)
      form.append('file', new Blob([file]), 'a.txt')
      return (await fetch(store.at(url), { method: 'POST', body: form })).status
    }
    const read = async (key: string): Promise<string> => (await storage.get(key)).text()
    /** The link with another letter in it at `at` of its signed part. */
    const altered = (url: string, name: string, value: string): string => {
      const changed = new URL(store.at(url))
      changed.searchParams.set(name, value)
      return changed.href
    }

    it('store what they allow, with the headers that came along', async () => {
      const { url, headers, method, expiresAt } = await storage.presignPut('ü b+c/a.txt', {
        contentType: 'text/plain',
        size: 5,
        disposition: { type: 'attachment', filename: 'a.txt' },
        cacheControl: 'no-cache',
        metadata: { owner: 'ada' },
      })
      expect(method).toBe('PUT')
      expect(expiresAt.getTime()).toBeGreaterThan(0)
      expect(await put(url, 'hello', headers)).toBeLessThan(300)
      expect(await storage.head('ü b+c/a.txt')).toMatchObject({
        size: 5,
        contentType: 'text/plain',
        contentDisposition: 'attachment; filename="a.txt"',
        cacheControl: 'no-cache',
        metadata: { owner: 'ada' },
      })
      expect(await read('ü b+c/a.txt')).toBe('hello')
    })

    it('refuse another type, size or method, and store nothing', async () => {
      const { url, headers } = await storage.presignPut('a', { contentType: 'image/png', size: 5 })
      const wrong = [
        await put(url, 'hello', { ...headers, 'content-type': 'text/html' }),
        await put(url, 'hello', {}),
        await put(url, 'hello!', headers),
        await put(url, 'hell', headers),
        await put(url, '', headers),
        await put(url, 'hello', headers, 'POST'),
        (await fetch(store.at(url))).status,
        (await fetch(store.at(url), { method: 'DELETE' })).status,
      ]
      for (const status of wrong) expect([400, 403, 404, 405, 411, 413, 415, 422]).toContain(status)
      expect(await storage.list()).toMatchObject({ objects: [] })
    })

    it('refuse another key, expiry or signature', async () => {
      const { url, headers } = await storage.presignPut('a', { contentType: 'text/plain', size: 5 })
      const other = await storage.presignPut('b', { contentType: 'text/plain', size: 5 })
      const [own, foreign] = [new URL(store.at(url)), new URL(store.at(other.url))]
      const tampered =
        kind === 's3'
          ? [
              own.href.replace('/a?', '/b?'),
              own.href.replace('/a?', '/..%2fa?'),
              altered(url, 'X-Amz-Expires', '604800'),
              altered(url, 'X-Amz-Signature', foreign.searchParams.get('X-Amz-Signature')!),
              altered(url, 'X-Amz-SignedHeaders', 'host'),
              altered(url, 'X-Amz-Signature', '0'.repeat(64)),
            ]
          : tamperedTokens(own.searchParams.get('link')!, foreign.searchParams.get('link')!).map((token) =>
              altered(url, 'link', token),
            )
      for (const link of tampered) expect(await put(link, 'hello', headers), link).toBe(403)
      expect(await storage.list()).toMatchObject({ objects: [] })
    })

    it('end', async () => {
      const link = await storage.presignPut('a', { contentType: 'text/plain', size: 5, expiresIn: '1s' })
      const form = await storage.presignPost('a', { contentType: 'text/plain', size: 5, expiresIn: '1s' })
      await storage.put('b', 'x')
      const url = await storage.presignGet('b', { expiresIn: '1s' })
      await store.expire(1000)
      expect(await put(link.url, 'hello', link.headers)).toBe(403)
      expect(await post(form, 'hello')).toBe(403)
      expect((await fetch(store.at(url))).status).toBe(403)
      expect(await storage.exists('a')).toBe(false)
    })

    it('make once what they may only make', async () => {
      const { url, headers } = await storage.presignPut('a', { contentType: 'text/plain', size: 3, createOnly: true })
      const { 'if-none-match': _, ...without } = headers
      expect([400, 403]).toContain(await put(url, 'one', without))
      expect(await put(url, 'one', headers)).toBeLessThan(300)
      expect([409, 412]).toContain(await put(url, 'two', headers))
      expect(await read('a')).toBe('one')
    })

    it('by a form take a range of sizes and a kind of types', async () => {
      const form = await storage.presignPost('a', {
        contentType: 'image/',
        size: { min: 2, max: 5 },
        metadata: { a: 'b' },
      })
      expect(await post(form, 'three', { 'Content-Type': 'image/webp' })).toBe(204)
      expect(await storage.head('a')).toMatchObject({ size: 5, contentType: 'image/webp', metadata: { a: 'b' } })
      const wrong = [
        await post(form, 'six666', { 'Content-Type': 'image/webp' }),
        await post(form, '1', { 'Content-Type': 'image/webp' }),
        await post(form, 'three', { 'Content-Type': 'text/html' }),
        await post(form, 'three'),
        await post(form, 'three', { 'Content-Type': 'image/webp', key: 'elsewhere' }),
        await post({ ...form, fields: {} }, 'three', { 'Content-Type': 'image/webp' }),
      ]
      for (const status of wrong) expect([400, 403, 413]).toContain(status)
      expect((await storage.list()).objects.map(({ key, size }) => [key, size])).toEqual([['a', 5]])
    })

    it('read, whole and in part, under the headers that they say', async () => {
      await storage.put('a.html', '<script>0123456789</script>', { contentType: 'text/html' })
      const url = await storage.presignGet('a.html', {
        contentType: 'text/plain',
        disposition: { type: 'attachment', filename: 'ä.txt' },
      })
      const whole = await fetch(store.at(url))
      expect(whole.status).toBe(200)
      expect(whole.headers.get('content-type')).toBe('text/plain')
      expect(whole.headers.get('content-disposition')).toContain(`filename*=UTF-8''%C3%A4.txt`)
      expect(await whole.text()).toBe('<script>0123456789</script>')
      const part = await fetch(store.at(url), { headers: { range: 'bytes=8-12' } })
      expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([
        206,
        'bytes 8-12/27',
        '01234',
      ])
      expect((await fetch(store.at(url), { headers: { range: 'bytes=100-' } })).status).toBe(416)
      const same = await fetch(store.at(url), { headers: { 'if-none-match': whole.headers.get('etag')! } })
      expect([same.status, await same.text()]).toEqual([304, ''])
      const none = await storage.presignGet('nothing')
      expect((await fetch(store.at(none))).status).toBe(404)
    })

    describe.runIf(hasChromium)('in Chromium, from another origin', () => {
      let browser: Browser
      let page: Page
      beforeAll(async () => {
        browser = await openChromium()
        page = await browser.newPage()
        await page.goto(origin)
      })
      afterAll(() => browser.close())

      /** What the page sees: a status, or that the browser refused. */
      const sent = (url: string, method: string, headers: Record<string, string>, body: string): Promise<string> =>
        page.evaluate(
          ([target, init]) =>
            fetch(target, init).then(
              async (answer) => `${answer.ok} ${answer.headers.get('etag') !== null}`,
              (error: Error) => error.name,
            ),
          [store.at(url), { method, headers, body }] as const,
        )

      it('a PUT stores', async () => {
        const { url, headers } = await storage.presignPut('a', { contentType: 'text/plain', size: 5 })
        expect(await sent(url, 'PUT', headers, 'hello')).toBe('true true')
        expect(await read('a')).toBe('hello')
        expect(await sent(url, 'PUT', headers, 'hello!')).not.toMatch(/^true/)
        expect(await sent(url, 'PUT', { 'content-type': 'text/html' }, 'other')).not.toMatch(/^true/)
        expect(await read('a')).toBe('hello')
      })

      it('a form stores', async () => {
        const { url, fields } = await storage.presignPost('b', { contentType: 'text/', size: { max: 100_000 } })
        const status = await page.evaluate(
          async ([target, own]) => {
            const form = new FormData()
            for (const [name, value] of Object.entries(own)) form.append(name, value)
            form.append('file', new File(['x'.repeat(90_000)], 'ä.txt'))
            return (await fetch(target, { method: 'POST', body: form })).status
          },
          [store.at(url), { ...fields, 'Content-Type': 'text/csv' }] as const,
        )
        expect(status).toBe(204)
        expect(await storage.head('b')).toMatchObject({ size: 90_000, contentType: 'text/csv' })
      })

      it('a page reads', async () => {
        await storage.put('c', 'hello', { contentType: 'text/plain' })
        const url = await storage.presignGet('c')
        expect(await page.evaluate((target) => fetch(target).then((answer) => answer.text()), store.at(url))).toBe(
          'hello',
        )
      })
    })
  })
}

/** Every way in which a token of ours can be bent. */
function tamperedTokens(own: string, foreign: string): string[] {
  const [text = '', mac = ''] = own.split('.')
  const permit = JSON.parse(Buffer.from(text, 'base64url').toString()) as Record<string, unknown>
  const bent = (changes: Record<string, unknown>): string =>
    `${Buffer.from(JSON.stringify({ ...permit, ...changes })).toString('base64url')}.${mac}`
  return [
    bent({ key: 'b' }),
    bent({ key: '../b' }),
    bent({ method: 'GET' }),
    bent({ size: { min: 0, max: 1e9 } }),
    bent({ contentType: 'text/html' }),
    bent({ expiresAt: Date.now() + 1e9 }),
    `${text}.${foreign.split('.')[1]!}`,
    `${text}.`,
    text,
    `.${mac}`,
    'x',
    `${text}.${mac}x`,
    `${text}=.${mac}`,
    own.slice(0, -1),
  ]
}
