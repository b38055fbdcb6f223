import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { schemes } from '../algorithms.ts'
import type { Algorithm } from '../keys.ts'

/** What a forger starts from: a genuine token, all that is public, and (to forge what only a bug of ours could make) the key itself. */
export interface Material {
  readonly token: string
  readonly algorithm: Algorithm
  readonly kid: string
  readonly publicJwk: Record<string, string>
  readonly privateKey: KeyObject
  /** Base URL of a listener that must not hear anything. */
  readonly listener: string
}

type Json = Record<string, unknown>
const b64 = (value: string | Buffer | Json): string =>
  Buffer.from(typeof value === 'string' || Buffer.isBuffer(value) ? value : JSON.stringify(value)).toString('base64url')
const decode = (part: string): Json => JSON.parse(Buffer.from(part, 'base64url').toString()) as Json

export interface Forge {
  /** Signs with the genuine key over whatever header and claims. */
  genuine(header?: Json | string, claims?: Json | string): string
  claims: Json
  header: Json
}

export function forge({ token, algorithm, privateKey }: Material): Forge {
  const [h, p] = token.split('.') as [string, string, string]
  const header = decode(h)
  const claims = decode(p)
  return {
    header,
    claims,
    genuine: (head = header, body = claims) => {
      const input = `${b64(head)}.${b64(body)}`
      return `${input}.${schemes[algorithm].sign(privateKey, input)}`
    },
  }
}

/** Name and token of every forgery. None may be accepted. */
export function forgeries(material: Material): [name: string, token: unknown][] {
  const { token, algorithm, kid, publicJwk, listener } = material
  const { genuine, header, claims } = forge(material)
  const [h, p, s] = token.split('.') as [string, string, string]
  const signature = Buffer.from(s, 'base64url')
  const hmac = (secret: string | Buffer, head: Json = { ...header, alg: 'HS256' }): string => {
    const input = `${b64(head)}.${p}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const evil = generateKeyPairSync('ed25519')
  const evilJwk = { ...evil.publicKey.export({ format: 'jwk' }), alg: 'EdDSA', use: 'sig' }
  const byEvil = (head: Json): string => {
    const input = `${b64(head)}.${p}`
    return `${input}.${sign(null, Buffer.from(input), evil.privateKey).toString('base64url')}`
  }
  const evilEc = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const flipped = Buffer.from(signature)
  flipped[5]! ^= 1
  const now = claims.iat as number

  const list: [string, unknown][] = [
    ...['none', 'None', 'NONE', 'nOnE', ''].flatMap((alg): [string, unknown][] => [
      [`alg "${alg}" without signature`, `${b64({ ...header, alg })}.${p}.`],
      [`alg "${alg}" with the old signature`, `${b64({ ...header, alg })}.${p}.${s}`],
    ]),
    ['alg missing', genuine({ kid, typ: 'at+jwt' })],
    ['alg of another kind, genuine key', genuine({ ...header, alg: algorithm === 'EdDSA' ? 'ES256' : 'EdDSA' })],
    ['alg in lower case', genuine({ ...header, alg: algorithm.toLowerCase() })],
    ['alg as array', genuine({ ...header, alg: [algorithm] })],
    ['HS256 with an empty secret', hmac('')],
    ['HS256 with "secret"', hmac('secret')],
    ['HS256 with "tsforge"', hmac('tsforge')],
    ['HS256 with the kid', hmac(kid)],
    ['HS256 with 32 zero bytes', hmac(Buffer.alloc(32))],
    ['HS384 with "secret"', hmac('secret', { ...header, alg: 'HS384' })],
    ['another key, same kid', byEvil(header)],
    ['embedded jwk', byEvil({ ...header, alg: 'EdDSA', jwk: evilJwk })],
    ['embedded jwk, no kid', byEvil({ alg: 'EdDSA', typ: 'at+jwt', jwk: evilJwk })],
    ['embedded jwk beside a genuine signature', genuine({ ...header, jwk: evilJwk })],
    ['jku', byEvil({ ...header, alg: 'EdDSA', jku: `${listener}/jwks.json` })],
    ['jku beside a genuine signature', genuine({ ...header, jku: `${listener}/jwks.json` })],
    ['x5u', byEvil({ ...header, alg: 'EdDSA', x5u: `${listener}/cert.pem` })],
    ['x5u beside a genuine signature', genuine({ ...header, x5u: `${listener}/cert.pem` })],
    ['x5c', byEvil({ ...header, alg: 'EdDSA', x5c: ['MIIB'] })],
    ['x5c beside a genuine signature', genuine({ ...header, x5c: ['MIIB'] })],
    ['crit with an unknown name', genuine({ ...header, crit: ['exp'] })],
    ['crit empty', genuine({ ...header, crit: [] })],
    ['crit b64, b64 false', genuine({ ...header, crit: ['b64'], b64: false })],
    ['b64 false alone', genuine({ ...header, b64: false })],
    ['b64 true', genuine({ ...header, b64: true })],
    ['zip', genuine({ ...header, zip: 'DEF' })],
    ['kid missing', genuine({ alg: algorithm, typ: 'at+jwt' })],
    ['kid empty', genuine({ ...header, kid: '' })],
    ['kid path', genuine({ ...header, kid: '../../../../dev/null' })],
    ['kid URL', genuine({ ...header, kid: `${listener}/key` })],
    ['kid SQL', genuine({ ...header, kid: `x' union select '${kid}' --` })],
    ['kid __proto__', genuine({ ...header, kid: '__proto__' })],
    ['kid constructor', genuine({ ...header, kid: 'constructor' })],
    ['kid of 70 kB', genuine({ ...header, kid: 'k'.repeat(70_000) })],
    ['kid number', genuine({ ...header, kid: 1 })],
    ['kid array', genuine({ ...header, kid: [kid] })],
    ['kid object', genuine({ ...header, kid: { toString: kid } })],
    ['kid null', genuine({ ...header, kid: null })],
    ['kid with NUL behind', genuine({ ...header, kid: `${kid}\0` })],
    [
      'kid in another case',
      genuine({ ...header, kid: kid.toUpperCase() === kid ? kid.toLowerCase() : kid.toUpperCase() }),
    ],
    ['typ missing', genuine({ alg: algorithm, kid })],
    ['typ JWT', genuine({ ...header, typ: 'JWT' })],
    ['typ of another purpose', genuine({ ...header, typ: 'mfa+jwt' })],
    ['typ of a refresh token', genuine({ ...header, typ: 'rt+jwt' })],
    ['typ in upper case', genuine({ ...header, typ: 'AT+JWT' })],
    ['typ array', genuine({ ...header, typ: ['at+jwt'] })],
    ['header with two algs, none first', genuine(`{"alg":"none","alg":"${algorithm}","kid":"${kid}","typ":"at+jwt"}`)],
    [
      'header with two algs, none last',
      `${b64(`{"alg":"${algorithm}","kid":"${kid}","typ":"at+jwt","alg":"none"}`)}.${p}.${s}`,
    ],
    ['header with two kids', genuine(`{"alg":"${algorithm}","kid":"x","kid":"${kid}","typ":"at+jwt"}`)],
    ['header with white space', genuine(`{"alg": "${algorithm}","kid":"${kid}","typ":"at+jwt"}`)],
    ['header with a byte order mark', genuine(`\uFEFF${JSON.stringify(header)}`)],
    ['header with escapes', genuine(`{"\\u0061lg":"${algorithm}","kid":"${kid}","typ":"at+jwt"}`)],
    ['header array', genuine(`[${JSON.stringify(header)}]`)],
    ['header string', genuine('"at+jwt"')],
    ['header null', genuine('null')],
    ['header no JSON', genuine('{{{{')],
    ['header of deep JSON', genuine(`${'['.repeat(2000)}${']'.repeat(2000)}`)],
    ['header empty', `.${p}.${s}`],
    ['iss wrong', genuine(header, { ...claims, iss: 'https://evil.test' })],
    ['iss missing', genuine(header, { ...claims, iss: undefined })],
    ['iss array', genuine(header, { ...claims, iss: [claims.iss] })],
    ['iss with a trailing slash', genuine(header, { ...claims, iss: `${String(claims.iss)}/` })],
    ['aud wrong', genuine(header, { ...claims, aud: 'other' })],
    ['aud missing', genuine(header, { ...claims, aud: undefined })],
    ['aud array', genuine(header, { ...claims, aud: ['other', claims.aud] })],
    ['sub missing', genuine(header, { ...claims, sub: undefined })],
    ['sub empty', genuine(header, { ...claims, sub: '' })],
    ['jti missing', genuine(header, { ...claims, jti: undefined })],
    ['sid number', genuine(header, { ...claims, sid: 7 })],
    ['sub number', genuine(header, { ...claims, sub: 1 })],
    ['expired', genuine(header, { ...claims, exp: now - 3600, iat: now - 7200, nbf: now - 7200 })],
    ['exp missing', genuine(header, { ...claims, exp: undefined })],
    ['exp string', genuine(header, { ...claims, exp: String(claims.exp) })],
    ['exp null', genuine(header, { ...claims, exp: null })],
    ['exp infinite', genuine(header, JSON.stringify({ ...claims, exp: 0 }).replace('"exp":0', '"exp":1e999'))],
    ['exp fraction', genuine(header, { ...claims, exp: now + 0.5 })],
    ['nbf in the future', genuine(header, { ...claims, nbf: now + 3600 })],
    ['nbf string', genuine(header, { ...claims, nbf: String(now) })],
    ['iat in the future', genuine(header, { ...claims, iat: now + 3600 })],
    ['iat missing', genuine(header, { ...claims, iat: undefined })],
    ['claims array', genuine(header, JSON.stringify([claims]))],
    ['claims null', genuine(header, 'null')],
    ['claims no JSON', genuine(header, 'sub=admin')],
    ['payload altered', `${h}.${b64({ ...claims, sub: 'admin' })}.${s}`],
    ['payload of another token', `${h}.${b64({ ...claims, jti: 'x' })}.${s}`],
    ['payload empty', `${h}..${s}`],
    ['signature altered', `${h}.${p}.${flipped.toString('base64url')}`],
    ['signature truncated', `${h}.${p}.${signature.subarray(0, -1).toString('base64url')}`],
    ['signature extended', `${h}.${p}.${Buffer.concat([signature, Buffer.from([0])]).toString('base64url')}`],
    ['signature of zeros (CVE-2022-21449)', `${h}.${p}.${Buffer.alloc(signature.length).toString('base64url')}`],
    ['signature empty', `${h}.${p}.`],
    ['signature missing', `${h}.${p}`],
    ['signature in ordinary base64', `${h}.${p}.${signature.toString('base64')}=`],
    ['signature with padding', `${token}=`],
    ['signature with double padding', `${token}==`],
    ['spelled with unused bits', `${h}.${p}.${nonCanonical(s)}`],
    ['P-256 signature under our kid', ecSigned(h, p, evilEc.privateKey, 'ieee-p1363')],
    ['DER signature under our kid', ecSigned(h, p, evilEc.privateKey, 'der')],
    ['white space before', ` ${token}`],
    ['white space behind', `${token} `],
    ['line break behind', `${token}\n`],
    ['line break inside', `${h}.\r\n${p}.${s}`],
    ['NUL behind', `${token}\0`],
    ['dot behind', `${token}.`],
    ['dot before', `.${token}`],
    ['five parts (JWE)', `${h}.${p}.${s}.${p}.${s}`],
    [
      'JWE with dir',
      `${b64({ alg: 'dir', enc: 'A256GCM', kid })}..${b64(Buffer.alloc(12))}.${p}.${b64(Buffer.alloc(16))}`,
    ],
    ['JWS in JSON form', JSON.stringify({ payload: p, protected: h, signature: s })],
    ['token inside of a token', genuine({ ...header, cty: 'JWT' }, token)],
    ['look-alike letters', `${h}.${p}.${s}`.replace('e', '\u0435')],
    ['full-width dot', `${h}\uFF0E${p}\uFF0E${s}`],
    ['lone surrogate', `${token}\uD800`],
    ['empty', ''],
    ['dots', '..'],
    ['one megabyte', 'a'.repeat(1_000_000)],
    ['a megabyte of dots', '.'.repeat(1_000_000)],
    ['genuine but longer than 8 KiB', genuine(header, { ...claims, pad: 'x'.repeat(9000) })],
    ['not a string', 42],
    ['array holding the token', [token]],
    ['object', { toString: () => token }],
    ['undefined', undefined],
  ]
  if (algorithm !== 'HS256') {
    const pem = createPublicKey({ key: publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }).toString()
    for (const [name, secret] of [
      ['PEM', pem],
      ['PEM after white space (CVE-2026-34950)', `\n \t${pem}`],
      ['PEM without its last line break', pem.trimEnd()],
      ['PEM on one line', pem.replaceAll('\n', '')],
      ['JWK text', JSON.stringify(publicJwk)],
    ] as const)
      list.push([`HS256 with the public key as secret: ${name}`, hmac(secret)])
    for (const member of ['x', 'y', 'n']) {
      const value = publicJwk[member]
      if (value !== undefined)
        list.push(
          [`HS256 with JWK ${member} as text`, hmac(value)],
          [`HS256 with JWK ${member} as bytes`, hmac(Buffer.from(value, 'base64url'))],
        )
    }
    const der = createPublicKey({ key: publicJwk, format: 'jwk' }).export({ type: 'spki', format: 'der' })
    list.push(['HS256 with the public key as secret: DER', hmac(der)])
  }
  if (algorithm === 'ES256') {
    const input = `${h}.${p}`
    const der = sign('sha256', Buffer.from(input), { key: material.privateKey, dsaEncoding: 'der' }).toString(
      'base64url',
    )
    list.push(['the genuine key, signature in DER', `${input}.${der}`])
  }
  return list
}

/** The same bytes, written with other unused bits in the last character. */
function nonCanonical(text: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return text.slice(0, -1) + alphabet[alphabet.indexOf(text.at(-1)!) + 1]
}

function ecSigned(h: string, p: string, key: KeyObject, dsaEncoding: 'der' | 'ieee-p1363'): string {
  return `${h}.${p}.${sign('sha256', Buffer.from(`${h}.${p}`), { key, dsaEncoding }).toString('base64url')}`
}

export function privateKeyOf(
  algorithm: Algorithm,
  jwk: Record<string, string>,
  secretKey: (bytes: Buffer) => KeyObject,
): KeyObject {
  return algorithm === 'HS256'
    ? secretKey(Buffer.from(jwk.k!, 'base64url'))
    : createPrivateKey({ key: jwk, format: 'jwk' })
}
