// The parts of the set that the two node:http servers write by hand.
import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto'
import pg from 'pg'
import { audience, bodyLimit, databaseUrl, issuer, secret, selectPerson } from './facts.js'

export const pool = new pg.Pool({ connectionString: databaseUrl, max: 10 })
const key = createSecretKey(Buffer.from(secret))

/** The subject of a valid HS256 token, or undefined. */
export function subjectOf(authorization) {
  if (authorization === undefined || !authorization.startsWith('Bearer ')) return undefined
  const token = authorization.slice(7)
  const second = token.lastIndexOf('.')
  const first = token.indexOf('.')
  if (first < 0 || second <= first) return undefined
  const signature = Buffer.from(token.slice(second + 1), 'base64url')
  const expected = createHmac('sha256', key).update(token.slice(0, second)).digest()
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return undefined
  const header = JSON.parse(Buffer.from(token.slice(0, first), 'base64url').toString())
  const claims = JSON.parse(Buffer.from(token.slice(first + 1, second), 'base64url').toString())
  const fits =
    header.alg === 'HS256' && claims.iss === issuer && claims.aud === audience && claims.exp * 1000 > Date.now()
  return fits ? claims.sub : undefined
}

export async function findPerson(id) {
  return (await pool.query(selectPerson(id))).rows[0]
}

/** Calls back with the parsed body, `undefined` when it is no JSON, or `null` when it is too large. */
export function readJson(request, done) {
  const chunks = []
  let size = 0
  request.on('data', (chunk) => {
    size += chunk.length
    if (size <= bodyLimit) chunks.push(chunk)
  })
  request.on('end', () => {
    if (size > bodyLimit) return done(null)
    let value
    try {
      value = JSON.parse(chunks.length === 1 ? chunks[0].toString() : Buffer.concat(chunks).toString())
    } catch {
      // Left undefined.
    }
    done(value)
  })
}
