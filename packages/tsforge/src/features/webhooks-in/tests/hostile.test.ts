import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { jobsPort } from '../../../primitives/jobs/index.ts'
import * as signatures from '../../../primitives/signatures/index.ts'
import { newStandardSecret } from '../../../primitives/signatures/index.ts'
import type { WebhookRefused } from '../events.ts'
import { github, hmac, shopify, slack, standard, stripe } from '../verifiers.ts'
import { openLab, sender, signed } from './setup.ts'
import type { Lab, Send } from './setup.ts'

const secret = newStandardSecret()
const plain = 'a secret that two sides share'
const [one, two] = [randomUUID(), randomUUID()]
const ofTenants: Readonly<Record<string, string>> = { [one]: newStandardSecret(), [two]: newStandardSecret() }
const own = hmac({
  header: 'x-sign',
  template: '{timestamp}.{body}',
  timestampHeader: 'x-time',
  id: { header: 'x-id' },
})

let lab: Lab
let send: Send
beforeAll(async () => {
  lab = await openLab([
    { name: 'standard', verifier: standard(), secrets: [secret] },
    {
      name: 'tenants',
      verifier: standard(),
      perTenant: true,
      secrets: ({ tenantId }) => [ofTenants[tenantId!]!].filter(Boolean),
    },
    { name: 'stripe', verifier: stripe(), secrets: [plain] },
    { name: 'github', verifier: github(), secrets: [plain] },
    { name: 'slack', verifier: slack(), secrets: [plain] },
    { name: 'shopify', verifier: shopify(), secrets: [plain] },
    { name: 'own', verifier: own, secrets: [plain] },
    { name: 'empty', verifier: standard(), secrets: [] },
    { name: 'broken', verifier: standard(), secrets: () => ['whsec_not-a-secret'] },
    {
      name: 'failing',
      verifier: standard(),
      secrets: () => {
        throw new Error('the vault at 10.0.0.7 is closed')
      },
    },
    { name: 'small', verifier: standard(), secrets: [secret], bodyBytes: 100 },
  ])
  send = sender(lab.app)
})
afterAll(() => lab?.[Symbol.asyncDispose]())

const body = '{"type":"order.placed",  "data":{"amount":100,"note":"größer ✓"}}'
const count = async () => (await lab.service.list({}, { limit: 1000 })).items.length
const jobs = async () => (await lab.app.get(jobsPort).list({}, { limit: 1000 })).items.length

describe('what is sent is accepted once and else refused', () => {
  const headers = () => signed(lab.app, signatures.standard, secret, body)

  it('as it was signed: once', async () => {
    const before = [await count(), await jobs()]
    expect(await send('standard', body, headers())).toMatchObject({ status: 202, body: { status: 'accepted' } })
    expect([await count(), await jobs()]).toEqual(before.map((number) => number + 1))
  })

  it.each<[string, () => { path?: string; body?: string; headers: Record<string, string> }, string]>([
    ['without a signature', () => ({ headers: {} }), 'signature_missing'],
    ['without its id', () => ({ headers: { ...headers(), 'webhook-id': '' } }), 'signature_missing'],
    ['a body that was changed', () => ({ body: body.replace('100', '999'), headers: headers() }), 'signature_invalid'],
    [
      'JSON that was written again',
      () => ({ body: JSON.stringify(JSON.parse(body)), headers: headers() }),
      'signature_invalid',
    ],
    ['no body', () => ({ body: '', headers: headers() }), 'signature_invalid'],
    ['another id', () => ({ headers: { ...headers(), 'webhook-id': 'msg_2' } }), 'signature_invalid'],
    ['an id with a dot', () => ({ headers: { ...headers(), 'webhook-id': 'a.b' } }), 'signature_invalid'],
    [
      'signed by another secret',
      () => ({ headers: signed(lab.app, signatures.standard, newStandardSecret(), body) }),
      'signature_invalid',
    ],
    [
      'a shorter signature',
      () => ({ headers: { ...headers(), 'webhook-signature': headers()['webhook-signature']!.slice(0, -4) } }),
      'signature_invalid',
    ],
    ['an empty signature', () => ({ headers: { ...headers(), 'webhook-signature': 'v1,' } }), 'signature_invalid'],
    [
      'an unknown version',
      () => ({ headers: { ...headers(), 'webhook-signature': headers()['webhook-signature']!.replace('v1', 'v2') } }),
      'signature_invalid',
    ],
    [
      'a hundred signatures',
      () => ({
        headers: { ...headers(), 'webhook-signature': `${'v1,AAAA '.repeat(99)}${headers()['webhook-signature']}` },
      }),
      'signature_invalid',
    ],
    [
      'from six minutes ago',
      () => ({ headers: signed(lab.app, signatures.standard, secret, body, { aheadSeconds: -360 }) }),
      'timestamp_invalid',
    ],
    [
      'from six minutes ahead',
      () => ({ headers: signed(lab.app, signatures.standard, secret, body, { aheadSeconds: 360 }) }),
      'timestamp_invalid',
    ],
    [
      'a timestamp that is no number',
      () => ({ headers: { ...headers(), 'webhook-timestamp': 'soon' } }),
      'signature_invalid',
    ],
    [
      'a fresh timestamp under an old signature',
      () => {
        const old = signed(lab.app, signatures.standard, secret, body, { aheadSeconds: -400 })
        return { headers: { ...old, 'webhook-timestamp': String(Math.floor(lab.app.clock.now() / 1000)) } }
      },
      'signature_invalid',
    ],
    [
      'the other tenant’s signature',
      () => ({ path: `tenants/${one}`, headers: signed(lab.app, signatures.standard, ofTenants[two]!, body) }),
      'signature_invalid',
    ],
    [
      'an unknown tenant',
      () => ({ path: `tenants/${randomUUID()}`, headers: signed(lab.app, signatures.standard, ofTenants[one]!, body) }),
      'signature_invalid',
    ],
    [
      'a tenant that is none',
      () => ({ path: 'tenants/..%2f..', headers: signed(lab.app, signatures.standard, ofTenants[one]!, body) }),
      'signature_invalid',
    ],
    ['a source without secrets', () => ({ path: 'empty', headers: headers() }), 'signature_invalid'],
    ['a source whose secret is none', () => ({ path: 'broken', headers: headers() }), 'signature_invalid'],
  ])('%s: refused', async (_, make, code) => {
    const before = [await count(), await jobs()]
    const request = make()
    const answer = await send(request.path ?? 'standard', request.body ?? body, request.headers)
    expect(answer).toMatchObject({ status: 401, code: `webhooks_in.${code}` })
    expect(JSON.stringify(answer)).not.toMatch(/whsec|mismatch|malformed|vault|no_secret|meta":\{"/)
    expect([await count(), await jobs()]).toEqual(before)
  })

  it('unknown tenants and wrong signatures get the same answer', async () => {
    const wrong = signed(lab.app, signatures.standard, newStandardSecret(), body)
    const answers = await Promise.all(
      [`tenants/${one}`, `tenants/${randomUUID()}`, 'tenants/nobody', 'empty', 'standard'].map((path) =>
        send(path, body, wrong),
      ),
    )
    const shown = answers.map((answer) => JSON.stringify({ ...answer.body, request_id: '' }))
    expect(new Set(shown).size).toBe(1)
    const old = signed(lab.app, signatures.standard, newStandardSecret(), body, { aheadSeconds: -999 })
    for (const path of [`tenants/${one}`, `tenants/${randomUUID()}`, 'empty'])
      expect(await send(path, body, old)).toMatchObject({ status: 401, code: 'webhooks_in.timestamp_invalid' })
  })

  it('sources that are not there, or not in this form, are not found', async () => {
    for (const path of ['nobody', 'constructor', '__proto__', `standard/${one}`, 'tenants'])
      expect(await send(path, body, headers())).toMatchObject({ status: 404, code: 'webhooks_in.source_unknown' })
  })

  it('where secrets cannot be looked up it is 503, so that the sender tries again', async () => {
    const answer = await send('failing', body, headers())
    expect(answer).toMatchObject({ status: 503, code: 'webhooks_in.unavailable' })
    expect(JSON.stringify(answer.body)).not.toContain('vault')
  })

  it('over the limit it is 413, said or not', async () => {
    const large = 'x'.repeat(101)
    expect(await send('small', large, headers())).toMatchObject({ status: 413, code: 'http.body_too_large' })
    const pieces = async (text: string, headers = {}) => {
      const payload = Readable.from([Buffer.from(text.slice(0, 60)), Buffer.from(text.slice(60))])
      const answer = await lab.app.http.inject({ method: 'POST', url: '/api/v1/hooks/small', headers, payload })
      expect(answer.raw.req.headers['content-length']).toBeUndefined()
      return answer.statusCode
    }
    expect(await pieces(large)).toBe(413)
    const fits = 'x'.repeat(100)
    expect(await send('small', fits, signed(lab.app, signatures.standard, secret, fits))).toMatchObject({ status: 202 })
    expect(await pieces(fits, signed(lab.app, signatures.standard, secret, fits))).toBe(202)
  })

  it('refusals are told to those who listen, with their reason and without content', async () => {
    const told: WebhookRefused[] = []
    const listener = (event: unknown): void => void told.push(event as WebhookRefused)
    subscribe('webhooks_in.delivery.refused', listener)
    try {
      await send('empty', body, headers())
      await send('standard', `${body} `, headers())
    } finally {
      unsubscribe('webhooks_in.delivery.refused', listener)
    }
    expect(told).toEqual([
      { source: 'empty', tenantId: null, reason: 'no_secret', ip: expect.any(String) },
      { source: 'standard', tenantId: null, reason: 'mismatch', ip: expect.any(String) },
    ])
    expect(lab.app.metrics.render()).toMatch(/forge_webhooks_in_total\{source="empty",result="no_secret"\} [1-9]/)
  })
})

describe('what comes again', () => {
  it('fifty at once: one delivery and one job', async () => {
    const headers = signed(lab.app, signatures.standard, secret, body)
    const before = [await count(), await jobs()]
    const answers = await Promise.all(Array.from({ length: 50 }, () => send('standard', body, headers)))
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(50)
    expect(answers.filter((answer) => answer.body['status'] === 'accepted')).toHaveLength(1)
    expect([await count(), await jobs()]).toEqual(before.map((number) => number + 1))
  })

  it('with the same id and a fresh signature: acknowledged, not handled twice', async () => {
    const id = `msg_${randomUUID()}`
    const statuses = []
    for (const aheadSeconds of [-10, 0, 10])
      statuses.push(
        (await send('standard', body, signed(lab.app, signatures.standard, secret, body, { id, aheadSeconds }))).body[
          'status'
        ],
      )
    expect(statuses).toEqual(['accepted', 'repeated', 'repeated'])
  })

  it('ids belong to one source and one tenant', async () => {
    const id = `msg_${randomUUID()}`
    const statuses = await Promise.all(
      [one, two, one.toUpperCase()].map(
        async (tenant) =>
          (
            await send(
              `tenants/${tenant}`,
              body,
              signed(lab.app, signatures.standard, ofTenants[tenant.toLowerCase()]!, body, { id }),
            )
          ).body['status'],
      ),
    )
    expect(statuses.toSorted()).toEqual(['accepted', 'accepted', 'repeated'])
    expect(
      (await send('standard', body, signed(lab.app, signatures.standard, secret, body, { id }))).body['status'],
    ).toBe('accepted')
  })

  it.each([
    ['github', signatures.github, 'x-github-delivery'],
    ['shopify', signatures.shopify, 'x-shopify-webhook-id'],
    ['own', own.scheme, 'x-id'],
  ] as const)(
    '%s does not sign its ids: the same signed bytes under another id are a repetition',
    async (name, scheme, header) => {
      const text = JSON.stringify({ action: 'opened', n: randomUUID() })
      const headers = signed(lab.app, scheme, plain, text)
      const status = async (id: string, of: string = text, signature = headers) =>
        (await send(name, of, { ...signature, [header]: id })).body['status']
      expect(await status('1')).toBe('accepted')
      expect(await status('1')).toBe('repeated')
      expect(await status('2')).toBe('repeated')
      const other = JSON.stringify({ action: 'opened', n: randomUUID() })
      expect(await status('1', other, signed(lab.app, scheme, plain, other))).toBe('repeated')
      const third = JSON.stringify({ action: 'opened', n: randomUUID() })
      expect(await status('3', third, signed(lab.app, scheme, plain, third))).toBe('accepted')
    },
  )

  it('Stripe and Slack sign theirs in the body', async () => {
    for (const [name, scheme, make] of [
      ['stripe', signatures.stripe, (id: string) => JSON.stringify({ id, type: 'invoice.paid' })],
      [
        'slack',
        signatures.slack,
        (id: string) => JSON.stringify({ event_id: id, type: 'event_callback', event: { type: 'app_mention' } }),
      ],
    ] as const) {
      const text = make(`evt_${randomUUID()}`)
      const again = `${text} `
      const statuses = [
        await send(name, text, signed(lab.app, scheme, plain, text)),
        await send(name, again, signed(lab.app, scheme, plain, again, { aheadSeconds: 3 })),
      ].map((answer) => answer.body['status'])
      expect(statuses).toEqual(['accepted', 'repeated'])
      const [record] = (await lab.service.list({ source: name })).items
      expect(record!.event).toBe(name === 'stripe' ? 'invoice.paid' : 'app_mention')
    }
  })

  it('without an id, what was signed is its id: body and time', async () => {
    const text = `payload=${randomUUID()}`
    const headers = signed(lab.app, signatures.slack, plain, text)
    const later = signed(lab.app, signatures.slack, plain, text, { aheadSeconds: 5 })
    const statuses = [
      await send('slack', text, { ...headers, 'content-type': 'application/x-www-form-urlencoded' }),
      await send('slack', text, headers),
      await send('slack', text, later),
    ].map((answer) => answer.body['status'])
    expect(statuses).toEqual(['accepted', 'repeated', 'accepted'])
    const [record] = (await lab.service.list({ source: 'slack' })).items
    expect(record!.deliveryId).toMatch(/^sha256:/)
  })
})

describe('ids and events that a database cannot hold', () => {
  it('are left out, and the delivery is kept', async () => {
    const text = '{"id":"evt_\\u0000","type":"a\\u0000b","deep":' + '['.repeat(5000) + ']'.repeat(5000) + '}'
    expect(await send('stripe', text, signed(lab.app, signatures.stripe, plain, text))).toMatchObject({ status: 202 })
    const [record] = (await lab.service.list({ source: 'stripe' })).items
    expect(record).toMatchObject({ event: null, deliveryId: expect.stringMatching(/^sha256:/) })
  })
})

describe("Slack's challenge", () => {
  it('is answered after its signature was verified, and nothing is stored', async () => {
    const text = JSON.stringify({
      type: 'url_verification',
      challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P',
    })
    const before = await count()
    expect(await send('slack', text, signed(lab.app, signatures.slack, plain, text))).toMatchObject({
      status: 200,
      body: { challenge: '3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P' },
    })
    const forged = await send('slack', text, signed(lab.app, signatures.slack, 'some other secret', text))
    expect(forged).toMatchObject({ status: 401 })
    expect(forged.body['challenge']).toBeUndefined()
    expect(await count()).toBe(before)
  })
})
