import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp, TestUser } from '../../../testing/app.ts'
import { mailerPort } from '../../../primitives/mailer/index.ts'
import type { KeptMail, Mailer } from '../../../primitives/mailer/index.ts'
import { accounts } from '../../accounts/index.ts'
import { mail, mailPort } from '../index.ts'
import type { Mail } from '../index.ts'

const env = { FORGE_MAIL_URL: 'https://api.example.com' }
const news = { to: 'Ada@Example.com', subject: 'News', text: 'Hi', category: 'newsletter' }
const notice = { to: 'ada@example.com', subject: 'Notice', text: 'Hi' }

let app: TestApp
let service: Mail
let mailer: Mailer
beforeEach(async () => {
  app = await createTestApp({ features: [accounts(), mail()], env })
  service = app.get(mailPort)
  mailer = app.get(mailerPort)
})
afterEach(() => app[Symbol.asyncDispose]())

const kept = (): readonly KeptMail[] => mailer.inbox!.mails
const header = (name: string): string | undefined =>
  new RegExp(`^${name}: +(.*)\\r$`, 'm').exec(kept()[0]!.raw.toString().replace(/\r\n /g, ' '))?.[1]
const link = async (): Promise<string> => {
  await mailer.send(news)
  const url = new URL(/<(.*)>/.exec(header('List-Unsubscribe')!)![1]!)
  return url.pathname + url.search
}
const page = (method: 'GET' | 'POST', url: string, payload?: string, type = 'application/x-www-form-urlencoded') =>
  app.http.inject({ method, url, ...(payload !== undefined && { payload, headers: { 'content-type': type } }) })

describe('unsubscribing', () => {
  it('is one POST without a login, and a GET only asks', async () => {
    const url = await link()
    expect(header('List-Unsubscribe-Post')).toBe('List-Unsubscribe=One-Click')
    expect(header('List-Unsubscribe')).toMatch(/^<https:\/\/api\.example\.com\/mail\/unsubscribe\?link=[\w-]+>$/)
    const asked = await page('GET', url)
    expect([asked.statusCode, asked.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8'])
    expect(asked.headers['content-security-policy']).toContain("form-action 'self'")
    expect(await service.isSuppressed('ada@example.com', 'newsletter')).toBe(false)
    expect((await page('POST', url, 'List-Unsubscribe=One-Click')).statusCode).toBe(200)
    expect(await mailer.send(news)).toMatchObject({ accepted: [], suppressed: ['Ada@example.com'] })
    expect(await mailer.send({ ...news, category: 'product' })).toMatchObject({ suppressed: [] })
    expect(await mailer.send(notice)).toMatchObject({ suppressed: [] })
    expect((await page('POST', url, 'List-Unsubscribe=One-Click')).statusCode).toBe(200)
  })

  it('takes the form that browsers send in parts, too, and speaks Indonesian', async () => {
    const url = await link()
    const parts = '--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'
    expect((await page('POST', url, parts, 'multipart/form-data; boundary=x')).statusCode).toBe(200)
    expect(await service.isSuppressed('ADA@example.com', 'newsletter')).toBe(true)
    const answer = await app.http.inject({ method: 'GET', url, headers: { 'accept-language': 'id' } })
    expect(answer.body).toContain('Berhenti berlangganan')
  })

  it('takes the button of a browser, which does not say where it comes from', async () => {
    const url = await link()
    const headers = {
      'content-type': 'application/x-www-form-urlencoded',
      origin: 'null',
      'sec-fetch-site': 'same-origin',
    }
    const answer = await app.http.inject({ method: 'POST', url, headers, payload: 'List-Unsubscribe=One-Click' })
    expect([answer.statusCode, answer.body.includes('You are unsubscribed.')]).toEqual([200, true])
  })

  it('is for whoever the link was made for, and nobody else', async () => {
    const url = await link()
    const token = url.split('link=')[1]!
    for (const wrong of ['x', token.slice(0, -1), `${token}A`, token.slice(1), `B${token.slice(1)}`]) {
      expect((await page('GET', `/mail/unsubscribe?link=${wrong}`)).statusCode).toBe(404)
      expect((await page('POST', `/mail/unsubscribe?link=${wrong}`)).statusCode).toBe(404)
    }
    expect(await service.isSuppressed('ada@example.com', 'newsletter')).toBe(false)
    expect(Buffer.from(token, 'base64url').toString('latin1')).not.toContain('example')
  })

  it('shows an address as text', async () => {
    const url = service.unsubscribeUrl({ address: '<img src=x>', category: 'a', tenantId: null })
    const { body } = await page('GET', url.slice(url.indexOf('/mail/')))
    expect(body).not.toContain('<img')
  })

  it('counts for mails that wait already', async () => {
    await mailer.sendLater(news, { key: 'n' })
    await service.suppress({ address: 'ada@example.com', category: 'newsletter' })
    await app.jobs.drain()
    expect(await mailer.sent('n')).toMatchObject({ state: 'suppressed' })
    expect(kept()).toEqual([])
  })

  it('is not possible for several people by one link', async () => {
    const wrong = mailer.send({ ...news, to: ['a@example.com', 'b@example.com'] })
    await expect(wrong).rejects.toMatchObject({ meta: { field: 'to' } })
  })
})

describe('feedback', () => {
  it('of a dead address or a complaint stops all mails, of a full mailbox none', async () => {
    const feedback = [
      { kind: 'bounce', permanent: true, address: 'dead@example.com', messageId: undefined, detail: '550' },
      { kind: 'bounce', permanent: false, address: 'full@example.com', messageId: undefined, detail: undefined },
      { kind: 'complaint', permanent: true, address: 'angry@example.com', messageId: undefined, detail: undefined },
    ] as const
    expect(await service.report(feedback)).toBe(2)
    expect(await service.report(feedback)).toBe(0)
    const to = ['dead@example.com', 'full@example.com', 'angry@example.com']
    const receipt = await mailer.send({ ...notice, to })
    expect(receipt).toMatchObject({
      accepted: ['full@example.com'],
      suppressed: ['dead@example.com', 'angry@example.com'],
    })
    expect(kept()[0]!.envelope.to).toEqual(['full@example.com'])
  })

  it('of an address that is none stops no other', async () => {
    const kinds = { kind: 'bounce', permanent: true, messageId: undefined, detail: undefined } as const
    const addresses = ['"a b"@example.com', 'ä@example.com', 'x'.repeat(300) + '@example.com', 'dead@example.com']
    expect(await service.report(addresses.map((address) => ({ ...kinds, address })))).toBe(1)
    expect(await service.isSuppressed('dead@example.com')).toBe(true)
  })

  it('can be taken back by whoever runs the app, and by no tenant', async () => {
    const dead = { kind: 'bounce', permanent: true, address: 'dead@example.com' } as const
    await service.report([{ ...dead, messageId: undefined, detail: undefined }])
    const page = { order: [{ key: 'created_at', direction: 'desc' }], limit: 10 } as never
    const { items } = await service.list(page)
    expect(items).toMatchObject([{ address: 'dead@example.com', tenantId: null, reason: 'bounced' }])
    const ada = await app.register()
    expect((await ada.delete(`/api/v1/mail/suppressions/${items[0]!.id}`)).status).toBe(404)
    await service.release(items[0]!.id)
    expect(await service.isSuppressed('dead@example.com')).toBe(false)
  })
})

describe('the list', () => {
  const url = '/api/v1/mail/suppressions'
  const list = async (user: TestUser): Promise<unknown[]> => (await user.get<{ items: unknown[] }>(url)).body.data.items

  it('is kept by the owners of a tenant, for their tenant alone', async () => {
    const [ada, eve] = [await app.register(), await app.register()]
    const first = await ada.post<{ id: string }>(url, { address: 'Bob@Example.com', category: 'newsletter' })
    expect(first).toMatchObject({ status: 201, body: { data: { address: 'bob@example.com', reason: 'manual' } } })
    const again = await ada.post<{ id: string }>(url, { address: 'bob@example.com', category: 'newsletter' })
    expect(again.body.data.id).toBe(first.body.data.id)
    expect(await list(ada)).toHaveLength(1)
    expect(await list(eve)).toEqual([])
    const { id } = first.body.data
    expect(await eve.delete(`${url}/${id}`)).toMatchObject({ status: 404 })
    expect((await ada.delete(`${url}/${id}`)).status).toBe(204)
    expect(await list(ada)).toEqual([])
    expect((await ada.post(url, { address: 'a@b.example\r\nx' })).status).toBe(422)
    expect((await app.client.get(url)).status).toBe(401)
  })
})
