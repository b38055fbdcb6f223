import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import { defineTemplate, html, mailerPort } from '../../../primitives/mailer/index.ts'
import { mail } from '../index.ts'
import { accounts } from '../../accounts/index.ts'

interface Listed {
  readonly items: readonly { readonly id: string; readonly subject: string; readonly to: readonly string[] }[]
  readonly total: number
}

const welcome = defineTemplate<{ name: string }>({
  name: 'welcome',
  texts: { en: { hello: 'Hello {name}' }, id: { hello: 'Halo {name}' } },
  sample: { name: 'Ada' },
  render: ({ data, t }) => ({ subject: t('hello', data), html: html`<p>${t('hello', data)}</p>` }),
})
const create = (env: Record<string, string> = {}): Promise<TestApp> =>
  createTestApp({ features: [accounts(), mail({ templates: [welcome] })], env })

let app: TestApp
beforeEach(async () => {
  app = await create()
})
afterEach(() => app[Symbol.asyncDispose]())

const api = '/dev/mail/api'
const get = (path: string, headers: Record<string, string> = {}, of = app) =>
  of.http.inject({ method: 'GET', url: `${api}${path}`, headers })
const listed = async (query = ''): Promise<Listed> => (await get(`/messages${query}`)).json<{ data: Listed }>().data
async function fill(): Promise<string> {
  const mailer = app.get(mailerPort)
  const image = { filename: 'logo.png', content: Buffer.from('png'), cid: 'logo', contentType: 'image/png' }
  await mailer.send({ to: 'bob@example.com', subject: 'Other', text: 'nothing' })
  await mailer.send({
    to: 'Ada <ada@example.com>',
    bcc: 'eve@example.com',
    subject: 'Reset <b>',
    html: '<p>Go <a href="https://x.example/?a=1&amp;b=2">on</a><img src="cid:logo"></p><script>parent.hacked = 1</script>',
    attachments: [image, { filename: 'Ä "1".txt', content: 'file' }],
  })
  return (await listed()).items[0]!.id
}

describe('the REST face', () => {
  it('lists, finds, shows and deletes', async () => {
    const id = await fill()
    expect((await listed()).items.map(({ subject }) => subject)).toEqual(['Reset <b>', 'Other'])
    expect((await listed('?q=reset%20ada')).items).toHaveLength(1)
    expect((await listed('?q=reset%20bob')).items).toEqual([])
    expect((await listed('?to=eve@example.com')).items).toHaveLength(1)
    const { data } = (await get(`/messages/${id}`)).json<{ data: Record<string, unknown> }>()
    expect(data).toMatchObject({
      subject: 'Reset <b>',
      to: ['Ada <ada@example.com>'],
      bcc: ['eve@example.com'],
      envelope: { to: ['ada@example.com', 'eve@example.com'] },
      links: ['https://x.example/?a=1&b=2'],
      text: 'Go on (https://x.example/?a=1&b=2)',
      files: [
        { filename: 'logo.png', inline: true },
        { filename: 'Ä "1".txt', size: 4, inline: false },
      ],
    })
    expect(data['headers']).toContainEqual({ name: 'MIME-Version', value: '1.0' })
    const source = await get(`/messages/${id}/source`)
    expect(source.headers['content-type']).toBe('text/plain; charset=utf-8')
    expect(source.body).toContain('multipart/mixed')
    const file = await get(`/messages/${id}/attachments/1`)
    expect([file.body, file.headers['content-disposition']]).toEqual([
      'file',
      `attachment; filename*=UTF-8''%C3%84%20%221%22.txt`.replaceAll('"', '%22'),
    ])
    expect((await get(`/messages/${id}/attachments/2`)).statusCode).toBe(404)
    expect((await app.http.inject({ method: 'DELETE', url: `${api}/messages/${id}` })).statusCode).toBe(204)
    expect((await get(`/messages/${id}`)).statusCode).toBe(404)
    expect((await app.http.inject({ method: 'DELETE', url: `${api}/messages` })).statusCode).toBe(204)
    expect(await listed()).toEqual({ items: [], total: 0 })
  })

  it('shows HTML where it can do nothing', async () => {
    const page = await get(`/messages/${await fill()}/html`)
    const policy = page.headers['content-security-policy'] as string
    expect(policy).toMatch(/^default-src 'none';.*sandbox allow-popups allow-popups-to-escape-sandbox$/)
    expect(policy).not.toMatch(/script|allow-same-origin|allow-forms/)
    expect(page.headers['x-frame-options']).toBe('SAMEORIGIN')
    expect(page.body).toContain(`src="data:image/png;base64,${Buffer.from('png').toString('base64')}"`)
  })

  it('puts each picture where the mail says', async () => {
    const picture = (cid: string) => ({ filename: `${cid}.png`, content: cid, cid, contentType: 'image/x$&' })
    const html = '<img src="cid:a"><img src="cid:ab"><img src="cid:none">'
    await app.get(mailerPort).send({ to: 'a@b.cd', subject: 'x', html, attachments: [picture('a'), picture('ab')] })
    const { body } = await get(`/messages/${(await listed()).items[0]!.id}/html`)
    const [a, ab] = ['a', 'ab'].map((cid) => Buffer.from(cid).toString('base64'))
    expect(body.match(/src="[^"]*"/g)).toEqual([
      `src="data:image/x$&;base64,${a}"`,
      `src="data:image/x$&;base64,${ab}"`,
      'src="cid:none"',
    ])
  })

  it('costs nothing while nothing changes', async () => {
    await fill()
    const { headers } = await get('/messages')
    expect((await get('/messages', { 'if-none-match': headers['etag'] as string })).statusCode).toBe(304)
  })

  it('previews templates in their languages', async () => {
    expect((await get('/templates')).json()).toMatchObject({
      data: { items: [{ name: 'welcome', locales: ['en', 'id'] }] },
    })
    const url = `${api}/templates/welcome/preview?locale=id`
    expect((await app.http.inject({ method: 'POST', url })).statusCode).toBe(204)
    expect((await listed()).items[0]).toMatchObject({ subject: 'Halo Ada' })
  })

  it('is for this machine alone, unless it is opened', async () => {
    const paths = ['/messages', '/templates']
    const foreign = [
      { host: 'evil.example' },
      { host: 'localhost', 'x-forwarded-for': '127.0.0.1' },
      { host: 'localhost', origin: 'https://evil.example' },
    ]
    for (const path of paths) for (const headers of foreign) expect((await get(path, headers)).statusCode).toBe(404)
    expect(
      (await app.http.inject({ method: 'GET', url: '/dev/mail', headers: { host: 'evil.example' } })).statusCode,
    ).toBe(404)
    await using open = await create({ FORGE_MAIL_INBOX: 'open' })
    expect((await get('/messages', { host: 'dev.example' }, open)).statusCode).toBe(200)
    await using closed = await create({ FORGE_MAIL_INBOX: 'off' })
    expect((await get('/messages', {}, closed)).statusCode).toBe(404)
  })
})
