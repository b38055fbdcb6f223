import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../../kernel/secret.ts'
import { basicAuth } from '../basic-auth.ts'
import { defineWebhookSource } from '../source.ts'
import { openLab, sender } from './setup.ts'
import type { Lab, Send } from './setup.ts'

const [old, fresh] = ['postmark:an older password', 'postmark:größe:of a pass ✓']
const basic = (pair: string): string => `Basic ${Buffer.from(pair).toString('base64')}`

let lab: Lab
let send: Send
beforeAll(async () => {
  lab = await openLab([
    {
      name: 'postmark',
      verifier: basicAuth({ id: { field: 'ID' }, event: { field: 'RecordType' } }),
      secrets: [new Secret(fresh), old],
    },
    { name: 'plain', verifier: basicAuth({ id: { header: 'X-Delivery' } }), secrets: [old] },
    { name: 'closed', verifier: basicAuth(), secrets: [] },
    { name: 'broken', verifier: basicAuth(), secrets: () => ['postmark:short'] },
  ])
  send = sender(lab.app)
})
afterAll(() => lab?.[Symbol.asyncDispose]())

describe('user and password', () => {
  it.each([
    ['the new ones', basic(fresh)],
    ['the old ones, during a rotation', basic(old)],
    ['the name of the scheme in other letters', basic(old).replace('Basic', 'bAsIc')],
    ['more spaces', basic(old).replace(' ', '   ')],
  ])('%s: accepted', async (name, authorization) => {
    expect(await send('postmark', JSON.stringify({ name }), { authorization })).toMatchObject({
      status: 202,
      body: { status: 'accepted' },
    })
  })

  it.each<[string, Record<string, string>, string]>([
    ['nothing', {}, 'signature_missing'],
    ['an empty header', { authorization: '' }, 'signature_missing'],
    ['another password', { authorization: basic('postmark:another password') }, 'signature_invalid'],
    ['another user', { authorization: basic('Postmark:an older password') }, 'signature_invalid'],
    ['the password alone', { authorization: basic('an older password') }, 'signature_invalid'],
    ['a password that begins so', { authorization: basic(`${old}!`) }, 'signature_invalid'],
    ['a shorter one', { authorization: basic(old.slice(0, -1)) }, 'signature_invalid'],
    ['a token', { authorization: basic(old).replace('Basic', 'Bearer') }, 'signature_invalid'],
    ['no base64', { authorization: `Basic ${old}` }, 'signature_invalid'],
    ['another spelling of the same', { authorization: `${basic(old).replaceAll('=', '')}` }, 'signature_invalid'],
    ['two', { authorization: `${basic(old)}, ${basic(fresh)}` }, 'signature_invalid'],
  ])('%s: refused, and asked for', async (_, headers, code) => {
    const answer = await lab.app.fetch('http://app/api/v1/hooks/postmark', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: '{"ID":1}',
    })
    expect(answer.status).toBe(401)
    expect(answer.headers.get('www-authenticate')).toBe('Basic realm="webhooks", charset="UTF-8"')
    expect(await answer.json()).toMatchObject({ error: { code: `webhooks_in.${code}` } })
  })

  it('a source without any takes nothing, nor one whose password is too short', async () => {
    for (const path of ['closed', 'broken'])
      for (const authorization of [basic(':'), basic('postmark:short'), basic(old)])
        expect(await send(path, '{}', { authorization })).toMatchObject({ status: 401 })
    for (const secret of ['no colon in this password', ':without any user', 'postmark:short', `a:${'b'.repeat(1025)}`])
      expect(() =>
        defineWebhookSource({ name: 'bad', verifier: basicAuth(), secrets: [secret], handler: () => {} }),
      ).toThrowError(/user:password/)
  })

  it('is kept nowhere', async () => {
    await send('postmark', '{"ID":7}', { authorization: basic(old) })
    const [record] = (await lab.service.list({ source: 'postmark' })).items
    expect(JSON.stringify(await lab.service.get(record!.id))).not.toContain(basic(old).slice(6))
    expect(JSON.stringify(lab.app.logged)).not.toMatch(/older password|b2xkZXI/)
  })
})

describe('a delivery', () => {
  const status = async (path: string, body: object, headers = {}) =>
    (await send(path, JSON.stringify(body), { authorization: basic(old), ...headers })).body['status']

  it('is known by its id', async () => {
    expect(await status('postmark', { ID: 42, RecordType: 'Bounce' })).toBe('accepted')
    expect(await status('postmark', { ID: 42, RecordType: 'Bounce', again: true })).toBe('repeated')
    expect(await status('postmark', { ID: 43, RecordType: 'Bounce' })).toBe('accepted')
    const [record] = (await lab.service.list({ source: 'postmark' })).items
    expect(record).toMatchObject({ deliveryId: '43', event: 'Bounce', signedAt: null })
  })

  it('is known by what was sent where it has no id', async () => {
    expect(await status('postmark', { MessageID: 'm1' })).toBe('accepted')
    expect(await status('postmark', { MessageID: 'm1' })).toBe('repeated')
    expect(await status('postmark', { MessageID: 'm2' })).toBe('accepted')
  })

  it('may have its id in a header: the same body under another id is another delivery', async () => {
    expect(await status('plain', { type: 'ping' }, { 'x-delivery': '1' })).toBe('accepted')
    expect(await status('plain', { type: 'ping' }, { 'x-delivery': '1' })).toBe('repeated')
    expect(await status('plain', { type: 'ping' }, { 'x-delivery': '2' })).toBe('accepted')
  })
})
