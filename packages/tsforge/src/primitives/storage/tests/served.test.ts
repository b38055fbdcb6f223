import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import { memory } from '../drivers/memory.ts'
import { storage as plugin } from '../plugin.ts'
import { storagePort } from '../storage.ts'
import type { Storage } from '../storage.ts'

let app: TestApp
let storage: Storage
let origin: string
beforeEach(async () => {
  app = await createTestApp({ features: [plugin(memory())] })
  storage = app.get(storagePort)
  origin = await app.http.listen({ port: 0 })
})
afterEach(() => app[Symbol.asyncDispose]())

describe('links that the app serves', () => {
  it.each(['text/html', 'image/svg+xml', 'application/xhtml+xml', 'text/xml', 'application/javascript', 'unknown/x'])(
    'never show %s, and let nothing run',
    async (contentType) => {
      await storage.put('a', '<script>alert(1)</script>', {
        contentType,
        disposition: { type: 'inline', filename: 'a.x' },
      })
      const answer = await fetch(
        origin + (await storage.presignGet('a', { disposition: { type: 'inline', filename: 'b' } })),
      )
      expect(answer.headers.get('content-disposition')).toMatch(/^attachment/)
      expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
      expect(answer.headers.get('content-security-policy')).toContain('sandbox')
      expect(await answer.text()).toContain('alert')
    },
  )

  it('show pictures where they are wanted, to pages of other origins too', async () => {
    await storage.put('a', 'x', { contentType: 'image/png', disposition: { type: 'inline' } })
    const answer = await fetch(origin + (await storage.presignGet('a')), { headers: { accept: 'image/png' } })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-disposition')).toBe('inline')
    expect(answer.headers.get('cross-origin-resource-policy')).toBe('cross-origin')
  })

  it('answer HEAD with the headers alone', async () => {
    await storage.put('a', 'hello')
    const answer = await fetch(origin + (await storage.presignGet('a')), { method: 'HEAD' })
    expect([answer.status, answer.headers.get('content-length'), await answer.text()]).toEqual([200, '5', ''])
  })

  it('store nothing of a file whose sender goes away in the middle', async () => {
    await storage.put('a', 'old')
    const { url, headers } = await storage.presignPut('a', { contentType: 'text/plain', size: 1_000_000 })
    await new Promise<void>((done) => {
      const sent = request(origin + url, { method: 'PUT', headers: { ...headers, 'content-length': 1_000_000 } })
      sent.on('error', () => done())
      sent.write(Buffer.alloc(300_000), () => sent.destroy())
    })
    // The next request on the same server comes behind its end.
    await expect.poll(async () => (await app.http.inject({ method: 'GET', url: '/metrics' })).statusCode).toBe(200)
    expect(await (await storage.get('a')).text()).toBe('old')
    expect((await storage.list()).objects).toHaveLength(1)
  })

  it.each([
    ['no form', 'text/plain', 'x'],
    ['no boundary', 'multipart/form-data', 'x'],
    ['another boundary', 'multipart/form-data; boundary=a', '--b\r\n\r\n'],
    ['an end at once', 'multipart/form-data; boundary=a', '--a--\r\n'],
    ['a part without a name', 'multipart/form-data; boundary=a', '--a\r\nx: y\r\n\r\nz\r\n--a--\r\n'],
    ['an endless head', 'multipart/form-data; boundary=a', `--a\r\n${'x: y\r\n'.repeat(5000)}`],
    [
      'no file',
      'multipart/form-data; boundary=a',
      '--a\r\ncontent-disposition: form-data; name="b"\r\n\r\nz\r\n--a--\r\n',
    ],
    [
      'a field that is too long',
      'multipart/form-data; boundary=a',
      `--a\r\ncontent-disposition: form-data; name="b"\r\n\r\n${'z'.repeat(50_000)}\r\n--a--`,
    ],
    ['an early end', 'multipart/form-data; boundary=a', '--a\r\ncontent-disposition: form-data; name="file"\r\n\r\nz'],
  ])('refuse %s', async (_, type, payload) => {
    const answer = await app.http.inject({
      method: 'POST',
      url: '/storage/objects',
      headers: { 'content-type': type },
      payload,
    })
    expect([400, 403]).toContain(answer.statusCode)
  })

  it('find the boundary of a form wherever the pieces are cut', async () => {
    const { fields } = await storage.presignPost('a', { contentType: 'text/plain', size: { max: 100 } })
    const parts = Object.entries(fields).map(
      ([name, value]) => `--bound\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`,
    )
    const body = Buffer.from(
      `${parts.join('')}--bound\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n--boun\r\n--bounc\r\n\r\n--bound--\r\n`,
    )
    for (const piece of [1, 7, 64]) {
      const status = await new Promise<number | undefined>((done, fail) => {
        const sent = request(`${origin}/storage/objects`, {
          method: 'POST',
          headers: { 'content-type': 'multipart/form-data; boundary="bound"' },
        })
        sent.on('response', (answer) => done(answer.resume().statusCode)).on('error', fail)
        for (let at = 0; at < body.length; at += piece) sent.write(body.subarray(at, at + piece))
        sent.end()
      })
      expect(status).toBe(204)
      expect(await (await storage.get('a')).text()).toBe('--boun\r\n--bounc\r\n')
    }
  })
})

describe('the plugin', () => {
  it.each([
    [{ FORGE_STORAGE_DRIVER: 'memory' }, 'FORGE_STORAGE_DRIVER'],
    [{}, 'FORGE_STORAGE_DRIVER'],
    [{ S3_BUCKET: 'b', S3_ENDPOINT: 'http://s3.example.com' }, 'S3_ENDPOINT'],
    [{ FORGE_STORAGE_DRIVER: 'disk', FORGE_STORAGE_URL: 'http://api.example.com' }, 'FORGE_STORAGE_URL'],
    [{ FORGE_STORAGE_DRIVER: 'disk', FORGE_STORAGE_URL: 'https://api.example.com/path' }, 'FORGE_STORAGE_URL'],
    [{ S3_BUCKET: 'b', S3_ACCESS_KEY_ID: 'a', S3_SECRET_ACCESS_KEY: 'changeme' }, 'S3_SECRET_ACCESS_KEY'],
  ])('refuses %j in production', async (env, name) => {
    const { loadOptions } = await import('../../../kernel/load-options.ts')
    const { storageOptions } = await import('../options.ts')
    expect(() => loadOptions({ storage: storageOptions as never }, { env, environment: 'production' })).toThrow(name)
  })
})
