import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Secret } from '../secret.ts'
import { createSecrets, secretsErrors } from '../secrets.ts'

const current = 'a first secret, long enough to use'
const secrets = createSecrets({ current: new Secret(current) })

test('what is sealed opens again, as text and as bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.string(), (bytes, context) =>
      secrets.open('test', secrets.seal('test', bytes, context), context).equals(bytes),
    ),
  )
  expect(secrets.open('test', secrets.seal('test', 'größe')).toString()).toBe('größe')
})

test('two seals of one value differ', () => {
  expect(secrets.seal('test', 'x')).not.toBe(secrets.seal('test', 'x'))
})

test('another purpose, another context or one altered bit is refused', () => {
  const sealed = secrets.seal('totp', 'value', 'user-1')
  const unreadable = { code: 'secrets.unreadable' }
  expect(() => secrets.open('mail', sealed, 'user-1')).toThrow(expect.objectContaining(unreadable))
  expect(() => secrets.open('totp', sealed, 'user-2')).toThrow(expect.objectContaining(unreadable))
  expect(() => secrets.open('totp', sealed)).toThrow(expect.objectContaining(unreadable))
  const bytes = Buffer.from(sealed, 'base64url')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const altered = Buffer.from(bytes)
    altered[bit >> 3]! ^= 1 << (bit & 7)
    expect(() => secrets.open('totp', altered.toString('base64url'), 'user-1')).toThrow(
      expect.objectContaining(unreadable),
    )
  }
})

test('a shortened tag and any other text are refused', () => {
  const sealed = Buffer.from(secrets.seal('t', ''), 'base64url')
  for (let length = 0; length < sealed.length; length++) {
    expect(() => secrets.open('t', sealed.subarray(0, length).toString('base64url'))).toThrow()
  }
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        secrets.open('t', text)
        return false
      } catch (error) {
        return secretsErrors.is(error, 'secrets.unreadable')
      }
    }),
  )
})

test('after a rotation old values still open, and new ones do not need the old secret', () => {
  const old = secrets.seal('totp', 'value')
  const rotated = createSecrets({ current: 'a second secret, long enough too', previous: [current] })
  expect(rotated.open('totp', old).toString()).toBe('value')
  expect(() => secrets.open('totp', rotated.seal('totp', 'value'))).toThrow()
})

test('a derived key is stable, differs by purpose and by secret, and cannot be overwritten', () => {
  const key = secrets.derive('cursor')
  expect(key).toHaveLength(32)
  const copy = Buffer.from(key)
  key.fill(0)
  expect(secrets.derive('cursor')).toEqual(copy)
  expect(secrets.derive('other')).not.toEqual(copy)
  expect(createSecrets({ current: 'a second secret, long enough too' }).derive('cursor')).not.toEqual(copy)
})

test('a short secret is refused at once', () => {
  expect(() => createSecrets({ current: 'short' })).toThrow(TypeError)
})
