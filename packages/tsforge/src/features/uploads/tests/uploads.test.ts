import { createHash } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp, TestUser } from '../../../testing/app.ts'
import { memory } from '../../../primitives/storage/drivers/memory.ts'
import { dbPort } from '../../../primitives/db/index.ts'
import { storage, storageErrors, storagePort } from '../../../primitives/storage/index.ts'
import type { StorageDriver } from '../../../primitives/storage/index.ts'
import { accounts } from '../../accounts/index.ts'
import { UploadRefusal, uploads } from '../index.ts'
import type { UploadedFile } from '../index.ts'

interface Started {
  readonly upload: { readonly id: string; readonly state: string }
  readonly request: { readonly method: 'PUT'; readonly url: string; readonly headers: Record<string, string> }
}

const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(5000, 7)])
const sha256 = createHash('sha256').update(png).digest('hex')

let app: TestApp
let lab: StorageDriver
let ada: TestUser
let accept: (file: UploadedFile) => Promise<void>
let now: () => number
beforeEach(async () => {
  accept = async () => {}
  lab = memory({ clock: { now: () => now() } as never })
  app = await createTestApp({
    features: [
      accounts(),
      storage(lab),
      uploads({
        kinds: {
          avatar: { types: ['image/png', 'image/jpeg'], maxSize: '10kb', accept: (_, file) => accept(file) },
          document: { types: ['text/', 'application/pdf'], maxSize: '1mb' },
        },
      }),
    ],
  })
  now = () => app.clock.now()
  ada = await app.register()
})
afterEach(() => app[Symbol.asyncDispose]())

const values = { kind: 'avatar', filename: 'Ä "me".png', content_type: 'image/png', size: png.length }

async function start(more: Record<string, unknown> = {}, who = ada): Promise<Started> {
  const { status, body } = await who.post<Started>('/api/v1/uploads', { ...values, ...more })
  expect(status).toBe(201)
  return body.data
}
async function send({ request }: Started, bytes: Buffer, headers = request.headers): Promise<number> {
  const { method, url } = request
  return (await app.http.inject({ method, url, headers, payload: bytes })).statusCode
}
const complete = (id: string, who = ada): ReturnType<TestUser['post']> => who.post(`/api/v1/uploads/${id}/complete`)
const keys = async (): Promise<string[]> => (await app.get(storagePort).list()).objects.map(({ key }) => key)

describe('uploads', () => {
  it('are started, sent straight to the storage, completed, read by a link and deleted', async () => {
    const started = await start({ sha256 })
    const { id } = started.upload
    expect(await complete(id)).toMatchObject({ status: 409, body: { error: { code: 'uploads.not_stored' } } })
    expect((await ada.get(`/api/v1/uploads/${id}/link`)).status).toBe(409)
    expect(await send(started, png)).toBe(204)
    expect(await complete(id)).toMatchObject({ status: 200, body: { data: { id, state: 'ready', sha256 } } })
    expect(await complete(id)).toMatchObject({ status: 200, body: { data: { id, state: 'ready' } } })
    const { url } = (await ada.get<{ url: string }>(`/api/v1/uploads/${id}/link`)).body.data
    const file = await app.http.inject({ method: 'GET', url })
    expect(file.rawPayload.equals(png)).toBe(true)
    expect(file.headers).toMatchObject({
      'content-type': 'image/png',
      'content-disposition': `inline; filename="_ _me_.png"; filename*=UTF-8''%C3%84%20%22me%22.png`,
      'x-content-type-options': 'nosniff',
    })
    expect(await keys()).toHaveLength(1)
    expect((await ada.delete(`/api/v1/uploads/${id}`)).status).toBe(204)
    expect((await ada.get(`/api/v1/uploads/${id}`)).status).toBe(404)
    expect(await keys()).toEqual([])
  })

  it('are refused at once when they cannot become anything', async () => {
    const wrong = [
      [{ kind: 'toString' }, 400, 'uploads.kind_unknown'],
      [{ size: 20_000 }, 413, 'uploads.too_large'],
      [{ content_type: 'text/html' }, 415, 'uploads.type_not_allowed'],
      [{ content_type: 'image/png\r\nx: y' }, 422, 'validation.failed'],
      [{ filename: '../../etc/passwd' }, 422, 'validation.failed'],
      [{ filename: 'a\r\nb' }, 422, 'validation.failed'],
      [{ size: -1 }, 422, 'validation.failed'],
      [{ sha256: 'x' }, 422, 'validation.failed'],
    ] as const
    for (const [more, status] of wrong)
      expect(await ada.post('/api/v1/uploads', { ...values, ...more }), JSON.stringify(more)).toMatchObject({ status })
    expect(await keys()).toEqual([])
  })

  it('take nothing but what was announced', async () => {
    const started = await start()
    expect(await send(started, png.subarray(1))).toBe(400)
    expect(await send(started, Buffer.concat([png, png]))).toBe(413)
    expect(await send(started, png, { 'content-type': 'image/jpeg' })).toBe(400)
    expect(await keys()).toEqual([])
  })

  it.each([
    ['another check sum', { sha256: 'a'.repeat(64) }, png, 'checksum'],
    ['a page that says it is an image', {}, Buffer.alloc(png.length, '<script>'), 'content_type'],
    [
      'a page that says it is text',
      { kind: 'document', content_type: 'text/plain' },
      Buffer.alloc(png.length, '<html> '),
      'content_type',
    ],
  ])('with %s are refused for good, and gone', async (_, more, bytes, reason) => {
    const started = await start(more)
    expect(await send(started, bytes)).toBe(204)
    const { id } = started.upload
    for (let times = 0; times < 2; times++)
      expect(await complete(id)).toMatchObject({
        status: 422,
        body: { error: { code: 'uploads.refused', meta: { reason } } },
      })
    expect((await ada.get(`/api/v1/uploads/${id}/link`)).status).toBe(409)
    expect(await keys()).toEqual([])
  })

  it('are looked at by the app before they are ready', async () => {
    accept = async (file) => {
      expect((await file.bytes()).equals(png)).toBe(true)
      expect((await buffer(await file.stream())).equals(png)).toBe(true)
      throw new UploadRefusal('infected')
    }
    const started = await start()
    await send(started, png)
    expect(await complete(started.upload.id)).toMatchObject({
      status: 422,
      body: { error: { meta: { reason: 'infected' } } },
    })
    expect(await ada.get(`/api/v1/uploads/${started.upload.id}`)).toMatchObject({
      body: { data: { state: 'refused', reason: 'infected' } },
    })
  })

  it('may be completed again after the app has failed at looking', async () => {
    let broken = true
    accept = async () => {
      if (broken) throw new Error('scanner away')
    }
    const started = await start()
    await send(started, png)
    expect((await complete(started.upload.id)).status).toBe(500)
    broken = false
    expect((await complete(started.upload.id)).status).toBe(200)
  })

  it('that change while they are checked are not made ready', async () => {
    const evil = Buffer.concat([png.subarray(0, 8), Buffer.alloc(png.length - 8, 6)])
    const started = await start()
    accept = async () => void (await send(started, evil))
    await send(started, png)
    expect(await complete(started.upload.id)).toMatchObject({
      status: 409,
      body: { error: { code: 'uploads.changed' } },
    })
    expect((await ada.get(`/api/v1/uploads/${started.upload.id}/link`)).status).toBe(409)
  })

  it('keep what was checked, whatever their link stores afterwards', async () => {
    const started = await start()
    await send(started, png)
    await complete(started.upload.id)
    expect(await send(started, Buffer.alloc(png.length, '<script>'))).toBe(204)
    const { url } = (await ada.get<{ url: string }>(`/api/v1/uploads/${started.upload.id}/link`)).body.data
    expect((await app.http.inject({ method: 'GET', url })).rawPayload.equals(png)).toBe(true)
  })

  it('are checked by one at a time, and by another when that one has died', async () => {
    let enter = (): void => {}
    let leave = (): void => {}
    const entered = new Promise<void>((done) => (enter = done))
    const left = new Promise<void>((done) => (leave = done))
    let looks = 0
    accept = async () => {
      looks++
      enter()
      await left
    }
    const started = await start()
    await send(started, png)
    const first = complete(started.upload.id)
    await entered
    expect(await complete(started.upload.id)).toMatchObject({
      status: 409,
      body: { error: { code: 'uploads.in_progress' } },
    })
    await app.clock.advance(5 * 60_000)
    const second = complete(started.upload.id)
    await expect.poll(() => looks).toBe(2)
    leave()
    expect((await second).status).toBe(200)
    // The first was past its own time limit.
    expect([200, 503]).toContain((await first).status)
    expect(await keys()).toHaveLength(1)
  })

  it('of one tenant do not exist for another', async () => {
    const eve = await app.register()
    const started = await start()
    await send(started, png)
    const { id } = started.upload
    await complete(id)
    for (const answer of [
      await eve.get(`/api/v1/uploads/${id}`),
      await eve.get(`/api/v1/uploads/${id}/link`),
      await complete(id, eve),
      await eve.delete(`/api/v1/uploads/${id}`),
      await eve.get(`/api/v1/uploads/${id}`, {
        tenant: (await ada.get<{ items: { id: string }[] }>('/api/v1/tenants')).body.data.items[0]!.id,
      }),
    ])
      expect([403, 404]).toContain(answer.status)
    expect((await ada.get(`/api/v1/uploads/${id}`)).status).toBe(200)
  })

  /** Lets so much time pass, and the jobs that are due run. */
  const pass = async (minutes: number): Promise<void> => {
    await app.clock.advance(minutes * 60_000)
    await app.jobs.drain()
  }

  it('that nobody finishes are swept, with what has come; ready ones stay', async () => {
    const [left, done] = [await start(), await start()]
    await send(left, png)
    await send(done, png)
    await complete(done.upload.id)
    await pass(119)
    expect(await keys()).toHaveLength(2)
    await pass(20)
    expect(await keys()).toEqual([expect.stringContaining(`uploads/ready/${done.upload.id}`)])
    const again = await app.login(ada)
    expect((await again.get(`/api/v1/uploads/${left.upload.id}`)).status).toBe(404)
    expect((await again.get(`/api/v1/uploads/${done.upload.id}`)).status).toBe(200)
    expect((await again.delete(`/api/v1/uploads/${done.upload.id}`)).status).toBe(204)
    await pass(20)
    expect(await app.get(dbPort).query('select id from forge_uploads')).toMatchObject({ rows: [] })
  })

  it('leave nothing behind that their link stores once they are complete, or deleted', async () => {
    const [done, deleted] = [await start(), await start()]
    await send(done, png)
    await complete(done.upload.id)
    expect((await ada.delete(`/api/v1/uploads/${deleted.upload.id}`)).status).toBe(204)
    expect([await send(done, png), await send(deleted, png)]).toEqual([204, 204])
    expect(await keys()).toHaveLength(3)
    await pass(139)
    expect(await keys()).toEqual([expect.stringContaining(`uploads/ready/${done.upload.id}`)])
  })

  it('that are deleted while they are checked do not become readable', async () => {
    const started = await start()
    await send(started, png)
    const { id } = started.upload
    // Read, then written: what comes in between does not see what it has to delete.
    lab.copy = async (from, to) => {
      const { info, body } = await lab.get(from, {})
      expect((await ada.delete(`/api/v1/uploads/${id}`)).status).toBe(204)
      const rest = { size: info.size, sha256: undefined, createOnly: false, signal: undefined }
      return lab.put(to, body, { contentType: 'image/png', metadata: {}, ...rest })
    }
    expect(await complete(id)).toMatchObject({ status: 404, body: { error: { code: 'uploads.not_found' } } })
    expect(await keys()).toEqual([])
  })

  it('are deleted for whoever asks while the storage is away, and their files later', async () => {
    const started = await start()
    await send(started, png)
    await complete(started.upload.id)
    const away = vi.spyOn(lab, 'delete').mockRejectedValue(storageErrors.error('storage.unavailable'))
    expect((await ada.delete(`/api/v1/uploads/${started.upload.id}`)).status).toBe(204)
    expect((await ada.get(`/api/v1/uploads/${started.upload.id}`)).status).toBe(404)
    expect(await keys()).toHaveLength(1)
    away.mockRestore()
    await pass(139)
    expect(await keys()).toEqual([])
  })
})
