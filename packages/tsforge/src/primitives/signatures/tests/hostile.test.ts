import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Secret } from '../../../kernel/secret.ts'
import { hmac } from '../hmac.ts'
import { newStandardKeyPair, newStandardSecret } from '../keys.ts'
import { github, shopify, slack } from '../presets.ts'
import { standard } from '../standard.ts'
import type { SignatureScheme } from '../scheme.ts'
import { stripe } from '../stripe.ts'

const seconds = 1_795_000_000
const nowMs = seconds * 1000
const generic = hmac({
  header: 'x-sig',
  encoding: 'base64',
  algorithm: 'sha512',
  separator: ' ',
  template: '{id}/{timestamp}{body}',
  idHeader: 'x-id',
  timestampHeader: 'x-time',
})
const shared = 'a shared secret of some length'
const pair = newStandardKeyPair()

const schemes: readonly (readonly [string, SignatureScheme, string])[] = [
  ['standard v1', standard, newStandardSecret()],
  ['standard v1a', standard, pair.privateKey],
  ['stripe', stripe, shared],
  ['github', github, shared],
  ['slack', slack, shared],
  ['shopify', shopify, shared],
  ['generic', generic, shared],
]

describe.each(schemes)('%s', (_, scheme, secret) => {
  const key = scheme.key(secret)
  const message = { id: 'msg_1', timestamp: seconds, body: '{"amount":100}' }

  it('accepts any bytes that it signed, and no others', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (body, position, flip) => {
          const headers = scheme.sign(key, { ...message, body })
          expect(scheme.verify(key, { headers, body, nowMs }).ok).toBe(true)
          const changed = body.length === 0 ? Uint8Array.of(flip) : Uint8Array.from(body)
          if (body.length > 0) changed[position % body.length]! ^= flip
          expect(scheme.verify(key, { headers, body: changed, nowMs }).ok).toBe(false)
          expect(scheme.verify(key, { headers, body: body.subarray(1), nowMs }).ok).toBe(body.length === 0)
          expect(scheme.verify(key, { headers, body: Buffer.concat([body, Buffer.from([flip])]), nowMs }).ok).toBe(
            false,
          )
        },
      ),
      { numRuns: 60 },
    )
  })

  it('refuses a header in which any character was changed, left out or added', () => {
    const headers = scheme.sign(key, message)
    const accepted: string[] = []
    for (const [name, value] of Object.entries(headers)) {
      for (let at = 0; at < value.length; at++) {
        const letter = value.charCodeAt(at)
        const others = [letter ^ 1, letter ^ 32, letter + 256, 0x20].filter((code) => code !== letter)
        const forms = [
          ...others.map((code) => value.slice(0, at) + String.fromCharCode(code) + value.slice(at + 1)),
          value.slice(0, at) + value.slice(at + 1),
          value.slice(0, at) + value[at]! + value.slice(at),
        ]
        for (const form of forms) {
          if (form === value) continue
          const verdict = scheme.verify(key, { headers: { ...headers, [name]: form }, body: message.body, nowMs })
          if (verdict.ok) accepted.push(`${name}: ${form}`)
        }
      }
      const without = { ...headers, [name]: undefined }
      expect(scheme.verify(key, { headers: without, body: message.body, nowMs })).toEqual({
        ok: false,
        reason: 'missing',
      })
      const twice = { ...headers, [name]: [value, value] }
      expect(scheme.verify(key, { headers: twice, body: message.body, nowMs })).toEqual({
        ok: false,
        reason: 'malformed',
      })
    }
    expect(accepted).toEqual([])
  })

  it('never throws for what strangers send', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary', maxLength: 300 }), { minLength: 6, maxLength: 6 }), (texts) => {
        const names = ['webhook-id', 'webhook-timestamp', ...scheme.signatureHeaders, 'x-time', 'x-id']
        const headers = Object.fromEntries(names.map((name, at) => [name, texts[at % texts.length]]))
        expect(scheme.verify(key, { headers, body: texts[0]!, nowMs }).ok).toBe(false)
      }),
      { numRuns: 100 },
    )
  })

  it('another key, and no key at all, are a mismatch', () => {
    const headers = scheme.sign(key, message)
    const other = secret.startsWith('wh') ? newStandardSecret() : 'quite another secret'
    for (const keys of [scheme.key(other), []])
      expect(scheme.verify(keys, { headers, body: message.body, nowMs })).toEqual({ ok: false, reason: 'mismatch' })
  })

  it('one of several keys is enough, and it is told which', () => {
    const headers = scheme.sign(key, message)
    const others = Array.from({ length: 3 }, (_, at) =>
      scheme.key(secret.startsWith('wh') ? newStandardSecret() : `quite another secret ${at}`),
    )
    expect(scheme.verify([...others, key], { headers, body: message.body, nowMs })).toMatchObject({ ok: true, key: 3 })
  })

  it('keys and errors show nothing of the secret', () => {
    for (const text of [inspect(key, { showHidden: true, depth: 9 }), JSON.stringify(key)]) {
      expect(text).not.toContain(secret.slice(6))
      expect(text).not.toContain(Buffer.from(secret).toString('hex'))
    }
  })
})

describe.each(schemes.filter(([name]) => !['github', 'shopify'].includes(name)))(
  'the time of %s',
  (_, scheme, secret) => {
    const key = scheme.key(secret)
    const verdict = (timestamp: number, toleranceMs?: number) => {
      const headers = scheme.sign(key, { id: 'msg_1', timestamp, body: '{}' })
      const bound = toleranceMs === undefined ? {} : { toleranceMs }
      const result = scheme.verify(key, { headers, body: '{}', nowMs: nowMs + 400, ...bound })
      return result.ok ? 'ok' : result.reason
    }

    it('is within five minutes both ways', () => {
      expect([-301, -300, 0, 300, 301].map((ahead) => verdict(seconds + ahead))).toEqual([
        'too_old',
        'ok',
        'ok',
        'ok',
        'too_new',
      ])
      expect([-61, -60, 60, 61].map((ahead) => verdict(seconds + ahead, 60_000))).toEqual([
        'too_old',
        'ok',
        'ok',
        'too_new',
      ])
    })

    it('is signed: the same signature with a fresh time is refused', () => {
      const headers = scheme.sign(key, { id: 'msg_1', timestamp: seconds - 4000, body: '{}' })
      const fresh = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, value.replace(String(seconds - 4000), String(seconds))]),
      )
      expect(fresh).not.toEqual(headers)
      expect(scheme.verify(key, { headers, body: '{}', nowMs })).toEqual({ ok: false, reason: 'too_old' })
      expect(scheme.verify(key, { headers: fresh, body: '{}', nowMs })).toEqual({ ok: false, reason: 'mismatch' })
    })

    it.each([
      '',
      'now',
      '-1795000000',
      '1795000000.0',
      '01795000000',
      '179500000',
      '1e9',
      ' 1795000000',
      '１７９５０００００0',
    ])('is ten digits, not %j', (text) => {
      const headers = scheme.sign(key, { id: 'msg_1', timestamp: seconds, body: '{}' })
      const forged = Object.fromEntries(
        Object.entries(headers).map(([name, value]) => [name, value.replace(String(seconds), text)]),
      )
      expect(scheme.verify(key, { headers: forged, body: '{}', nowMs }).ok).toBe(false)
    })
  },
)

describe('many signatures', () => {
  it.each([
    ['standard', standard, 'webhook-signature', ' ', newStandardSecret()],
    ['stripe', stripe, 'stripe-signature', ',', shared],
    ['generic', generic, 'x-sig', ' ', shared],
  ] as const)('%s looks at sixteen', (_, scheme, name, separator, secret) => {
    const key = scheme.key(secret)
    const headers = scheme.sign(key, { id: 'msg_1', timestamp: seconds, body: '{}' })
    const own = headers[name]!
    const noise = (count: number) => Array.from({ length: count }, () => (scheme === stripe ? 'v1=00' : 'v1,AAAA'))
    const list = (count: number) =>
      scheme === stripe
        ? [own.split(',')[0]!, ...noise(count), own.split(',')[1]!].join(separator)
        : [...noise(count), own].join(separator)
    const verdict = (count: number) =>
      scheme.verify(key, { headers: { ...headers, [name]: list(count) }, body: '{}', nowMs })
    expect(verdict(15)).toMatchObject({ ok: true })
    expect(verdict(16)).toEqual({ ok: false, reason: 'malformed' })
    expect(verdict(100_000)).toEqual({ ok: false, reason: 'malformed' })
  })
})

describe('what is signed', () => {
  it('cannot be split in another place', () => {
    const key = standard.key(newStandardSecret())
    const headers = standard.sign(key, { id: 'msg_1', timestamp: seconds - 9000, body: `${seconds}.{}` })
    const shifted = { ...headers, 'webhook-id': `msg_1.${seconds - 9000}`, 'webhook-timestamp': String(seconds) }
    expect(standard.verify(key, { headers: shifted, body: '{}', nowMs })).toEqual({ ok: false, reason: 'malformed' })
    for (const id of ['a.b', '', 'a b', 'ä', 'a\n', 'x'.repeat(257), undefined])
      expect(() => standard.sign(key, { ...(id !== undefined && { id }), timestamp: seconds, body: '' })).toThrow(
        expect.objectContaining({ code: 'signatures.message_invalid' }),
      )
    const generated = generic.sign(generic.key(shared), { id: 'a', timestamp: seconds, body: '' })
    expect(generic.verify(generic.key(shared), { headers: { ...generated, 'x-id': 'a/b' }, body: '', nowMs })).toEqual({
      ok: false,
      reason: 'malformed',
    })
  })

  it.each([
    ['no body', { header: 'x', template: 'v0:' }],
    ['a placeholder twice', { header: 'x', template: '{body}{body}' }],
    ['an id that runs into the body', { header: 'x', idHeader: 'y', template: '{id}{body}' }],
    ['a body that runs into the id', { header: 'x', idHeader: 'y', template: '{body}{id}' }],
    ['a timestamp without header', { header: 'x', template: '{timestamp}{body}' }],
    ['a header without timestamp', { header: 'x', timestampHeader: 'y' }],
    ['an id without header', { header: 'x', template: '{id}.{body}' }],
    ['a header that is none', { header: 'x y' }],
    ['an empty separator', { header: 'x', separator: '' }],
  ])('is refused with %s', (_, spec) => {
    expect(() => hmac(spec)).toThrow(expect.objectContaining({ code: 'signatures.scheme_invalid' }))
  })
})

describe('secrets', () => {
  const refused = (scheme: SignatureScheme, secret: string): unknown => {
    try {
      scheme.key(new Secret(secret))
    } catch (error) {
      return error
    }
    return undefined
  }

  it.each([
    ['empty', standard, ''],
    ['without prefix', standard, Buffer.alloc(32, 7).toString('base64')],
    ['of 23 bytes', standard, `whsec_${Buffer.alloc(23, 7).toString('base64')}`],
    ['of 65 bytes', standard, `whsec_${Buffer.alloc(65, 7).toString('base64')}`],
    ['with a typing mistake', standard, `whsec_${Buffer.alloc(32, 7).toString('base64').replace('H', '!')}`],
    ['private of 31 bytes', standard, `whsk_${Buffer.alloc(31, 7).toString('base64')}`],
    ['private with a public half of another', standard, `whsk_${Buffer.alloc(64, 7).toString('base64')}`],
    ['public of 33 bytes', standard, `whpk_${Buffer.alloc(33, 7).toString('base64')}`],
    ['short', github, 'too short'],
    ['empty', stripe, ''],
    ['no hex', hmac({ header: 'x', secretEncoding: 'hex' }), '0123456789abcdef0123456789abcdeg'],
  ])('%s are refused, and the error does not show them', (_, scheme, secret) => {
    const error = refused(scheme, secret)
    expect(error).toMatchObject({ code: 'signatures.secret_invalid' })
    if (secret.length > 4) expect(inspect(error, { depth: 9 })).not.toContain(secret)
  })

  it('that are public verify only', () => {
    const key = standard.key(pair.publicKey)
    expect(() => standard.sign(key, { id: 'a', timestamp: seconds, body: '' })).toThrow(
      expect.objectContaining({ code: 'signatures.key_public' }),
    )
  })

  it('that are made differ, and have the size that was asked for', () => {
    expect(newStandardSecret()).not.toBe(newStandardSecret())
    expect(Buffer.from(newStandardSecret(64).slice(6), 'base64')).toHaveLength(64)
    expect(() => newStandardSecret(23)).toThrow(expect.objectContaining({ code: 'signatures.secret_invalid' }))
  })
})
