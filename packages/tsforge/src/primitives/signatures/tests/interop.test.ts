import { createPublicKey, createHmac, verify as verifyRaw } from 'node:crypto'
import { sign as signGithub, verify as verifyGithub } from '@octokit/webhooks-methods'
import { Webhook as StandardWebhook } from 'standardwebhooks'
import Stripe from 'stripe'
import { Webhook as SvixWebhook } from 'svix'
import { describe, expect, it } from 'vitest'
import { hmac } from '../hmac.ts'
import { newStandardKeyPair, newStandardSecret, publicKeyOf } from '../keys.ts'
import { github, shopify, slack } from '../presets.ts'
import { standard } from '../standard.ts'
import { stripe } from '../stripe.ts'

/** Byte for byte: spaces and letters outside of ASCII count. */
const body = '{ "id": "evt_1", "object": "event",  "note": "größer ✓ 日本" }'
const timestamp = Math.floor(Date.now() / 1000)
const nowMs = timestamp * 1000
const message = { id: 'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W', timestamp, body }

describe('Standard Webhooks', () => {
  const secret = newStandardSecret()
  const keys = [standard.key(newStandardSecret()), standard.key(secret)]

  it.each([
    ['standardwebhooks', () => new StandardWebhook(secret), JSON.parse(body) as unknown],
    // Throws or gives nothing.
    ['svix', () => new SvixWebhook(secret), undefined],
  ])('what we send is verified by %s, also in the middle of a rotation and beside v1a', (_, make, parsed) => {
    expect(make().verify(body, standard.sign(standard.key(secret), message))).toEqual(parsed)
    const rotating = standard.sign([standard.key(newStandardKeyPair().privateKey), ...keys], message)
    expect(rotating['webhook-signature']!.split(' ')).toHaveLength(3)
    expect(make().verify(body, rotating)).toEqual(parsed)
    const foreign = standard.sign(standard.key(newStandardSecret()), message)
    expect(() => make().verify(body, foreign)).toThrow()
  })

  it.each([
    ['standardwebhooks', () => new StandardWebhook(secret)],
    ['svix', () => new SvixWebhook(secret)],
  ])('what %s signs is accepted, under both names of the headers', (_, make) => {
    const signature = make().sign(message.id, new Date(nowMs), body)
    for (const vendor of ['webhook', 'svix']) {
      const headers = {
        [`${vendor}-id`]: message.id,
        [`${vendor}-timestamp`]: String(timestamp),
        [`${vendor}-signature`]: signature,
      }
      expect(standard.verify(keys, { headers, body: Buffer.from(body), nowMs })).toEqual({
        ok: true,
        id: message.id,
        timestamp,
        key: 1,
      })
      expect(standard.verify(keys, { headers, body: body.replace('  ', ' '), nowMs })).toMatchObject({ ok: false })
    }
  })

  it('v1a is plain ed25519 over id, timestamp and body', () => {
    const pair = newStandardKeyPair()
    const headers = standard.sign(standard.key(pair.privateKey), message)
    const raw = Buffer.from(pair.publicKey.slice('whpk_'.length), 'base64')
    const publicKey = createPublicKey({
      key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
      format: 'jwk',
    })
    const [version, signature] = headers['webhook-signature']!.split(',')
    expect(version).toBe('v1a')
    const signed = Buffer.from(`${message.id}.${timestamp}.${body}`)
    expect(verifyRaw(null, signed, publicKey, Buffer.from(signature!, 'base64'))).toBe(true)
    const theirs = standard.key(pair.publicKey)
    expect(standard.verify(theirs, { headers, body, nowMs })).toMatchObject({ ok: true, key: 0 })
    expect(standard.verify(theirs, { headers, body: `${body} `, nowMs })).toEqual({ ok: false, reason: 'mismatch' })
    const other = standard.key(newStandardKeyPair().publicKey)
    expect(standard.verify(other, { headers, body, nowMs })).toEqual({ ok: false, reason: 'mismatch' })
    expect(publicKeyOf(pair.privateKey)).toBe(pair.publicKey)
    // The form without the public half, as other tools write it.
    const seed = `whsk_${Buffer.from(pair.privateKey.slice(5), 'base64').subarray(0, 32).toString('base64')}`
    expect(standard.sign(standard.key(seed), message)).toEqual(headers)
  })
})

describe('Stripe', () => {
  const secret = 'whsec_8Kq2vN5xT1mC7bR4zW9yL3pD6fJ0hG'
  const client = new Stripe('sk_test_0123456789abcdef')

  it('constructEvent takes what we send, with two secrets in the header too', () => {
    const one = stripe.sign(stripe.key(secret), message)['stripe-signature']!
    expect(client.webhooks.constructEvent(body, one, secret)).toMatchObject({ id: 'evt_1' })
    const two = stripe.sign([stripe.key('another secret of theirs'), stripe.key(secret)], message)
    expect(client.webhooks.constructEvent(Buffer.from(body), two['stripe-signature']!, secret)).toBeTruthy()
    expect(() => client.webhooks.constructEvent(`${body} `, one, secret)).toThrow()
  })

  it('we take what its own library signs', () => {
    const header = client.webhooks.generateTestHeaderString({ payload: body, secret, timestamp })
    const request = { headers: { 'stripe-signature': header }, nowMs }
    expect(stripe.verify(stripe.key(secret), { ...request, body })).toEqual({
      ok: true,
      id: undefined,
      timestamp,
      key: 0,
    })
    expect(stripe.verify(stripe.key(secret), { ...request, body: `${body} ` })).toMatchObject({ ok: false })
    expect(stripe.verify(stripe.key('another secret of theirs'), { ...request, body })).toMatchObject({ ok: false })
    const old = client.webhooks.generateTestHeaderString({ payload: body, secret, scheme: 'v0', timestamp })
    expect(stripe.verify(stripe.key(secret), { headers: { 'stripe-signature': old }, body, nowMs })).toEqual({
      ok: false,
      reason: 'mismatch',
    })
  })
})

describe('GitHub', () => {
  const secret = "It's a Secret to Everybody"

  it('the vector of its documentation', () => {
    const headers = { 'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' }
    const key = github.key(secret)
    expect(github.verify(key, { headers, body: 'Hello, World!', nowMs })).toMatchObject({ ok: true })
    expect(github.sign(key, { timestamp, body: 'Hello, World!' })).toEqual(headers)
  })

  it('@octokit/webhooks-methods takes ours, and we take its', async () => {
    const key = github.key(secret)
    const ours = github.sign(key, message)['x-hub-signature-256']!
    expect(await verifyGithub(secret, body, ours)).toBe(true)
    const headers = { 'x-hub-signature-256': await signGithub(secret, body) }
    expect(github.verify([github.key('some other secret'), key], { headers, body, nowMs })).toMatchObject({ key: 1 })
    expect(github.verify(key, { headers, body: body.slice(1), nowMs })).toMatchObject({ ok: false })
  })
})

describe('the others', () => {
  it("Slack's vector of its documentation", () => {
    const key = slack.key('8f742231b10e8888abcd99yyyzzz85a5')
    const slackBody =
      'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c'
    const headers = {
      'x-slack-request-timestamp': '1531420618',
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    }
    expect(slack.sign(key, { timestamp: 1531420618, body: slackBody })).toEqual(headers)
    const request = { headers, body: slackBody, nowMs: 1531420618_000 }
    expect(slack.verify(key, request)).toEqual({ ok: true, id: undefined, timestamp: 1531420618, key: 0 })
    expect(slack.verify(key, { ...request, nowMs })).toEqual({ ok: false, reason: 'too_old' })
  })

  it('Shopify: base64 over the body', () => {
    const secret = 'hush hush hush hush'
    const expected = createHmac('sha256', secret).update(body).digest('base64')
    expect(shopify.sign(shopify.key(secret), message)).toEqual({ 'x-shopify-hmac-sha256': expected })
    const headers = { 'x-shopify-hmac-sha256': expected }
    expect(shopify.verify(shopify.key(secret), { headers, body: Buffer.from(body), nowMs })).toMatchObject({ ok: true })
  })

  it.each(['sha256', 'sha384', 'sha512'] as const)('a scheme of one’s own, with %s', (algorithm) => {
    const scheme = hmac({
      header: 'X-Signature',
      algorithm,
      encoding: 'base64url',
      prefix: 'sig=',
      separator: ', ',
      template: '{id}:{body}:{timestamp}',
      timestampHeader: 'X-Time',
      idHeader: 'X-Id',
      secretEncoding: 'hex',
    })
    const secret = '00112233445566778899aabbccddeeff'
    const headers = scheme.sign(scheme.key(secret), message)
    const expected = createHmac(algorithm, Buffer.from(secret, 'hex')).update(`${message.id}:${body}:${timestamp}`)
    expect(headers).toEqual({
      'x-signature': `sig=${expected.digest('base64url')}`,
      'x-time': String(timestamp),
      'x-id': message.id,
    })
    const other = scheme.key('ff112233445566778899aabbccddeeff')
    const both = scheme.sign([other, scheme.key(secret)], message)
    expect(scheme.verify(scheme.key(secret), { headers: both, body, nowMs })).toMatchObject({
      ok: true,
      id: message.id,
    })
  })
})
