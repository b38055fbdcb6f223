import { afterEach, describe, expect, it } from 'vitest'
import { Answering } from '../answering.ts'
import { Head } from '../head.ts'
import { reply, route } from '../index.ts'
import type { GateSpec } from '../index.ts'
import { Outgoing } from '../outgoing.ts'
import { Type } from '../schema.ts'
import { closeLabs, lab } from './fixture.ts'
import { wire } from './wire.ts'

afterEach(closeLabs)

const common = {
  summary: 'Text',
  access: 'public',
  data: Type.Object({ text: Type.String() }),
} as const
const routes = [
  route({ ...common, method: 'GET', url: '/plain', id: 'plain', handler: () => ({ text: 'a' }) }),
  route({ ...common, method: 'GET', url: '/wide', id: 'wide', handler: () => ({ text: 'ä' }) }),
  route({
    ...common,
    method: 'GET',
    url: '/own',
    id: 'own',
    handler: () => reply({ text: 'a' }, { headers: { 'x-own': 'b', vary: 'x-c', etag: '"d"' } }),
  }),
  route({ ...common, method: 'POST', url: '/made', id: 'made', status: 201, handler: () => ({ text: 'a' }) }),
]
const gate: GateSpec = {
  phase: 'arrival',
  for: () => (call) => {
    call.setHeader('ratelimit', '"a";r=1')
    call.addHeader('vary', 'x-gate')
    call.setHeader('x-own', 'gate')
  },
}

describe('a head written as text', () => {
  it.each([
    ['GET /plain', ''],
    ['GET /plain', 'Origin: https://app.example.com\r\n'],
    ['GET /plain', 'If-None-Match: *\r\n'],
    ['GET /plain', 'X-Request-Id: given\r\n'],
    ['HEAD /plain', ''],
    ['GET /wide', ''],
    ['GET /own', ''],
    ['POST /made', ''],
    ['GET /missing', 'Accept-Language: id\r\n'],
    ['PUT /plain', ''],
  ])('is what Node writes: %s %s', async (target, header) => {
    const { http } = await lab(routes, { gates: [gate], options: { corsOrigins: ['https://app.example.com'] } })
    const origin = await http.listen({ host: '127.0.0.1', port: 0 })
    const answer = async (): Promise<string> =>
      (await wire(origin, `${target} HTTP/1.1\r\nHost: a\r\n${header}\r\n`, /\r\n\r\n/))
        .replace(/(?<=^Date: ).*$/m, '')
        .replaceAll(/[\w-]{20,}(?="|\r)/g, 'id')
    const text = await answer()
    http.fastify.server.prependListener('request', (_req, res) => res.setHeader('x-slow', 'by Node'))
    const byNode = await answer()
    expect(byNode).toContain('x-slow: by Node')
    expect(text).toBe(byNode.replace('x-slow: by Node\r\n', ''))
    expect(text).toMatch(/\r\nKeep-Alive: timeout=\d+/)
  })

  it('is not used where Node would write another one', () => {
    const out = new Outgoing(new Head(['x-first', 'a']), 200)
    out.added.push('content-length', '2')
    expect(Answering.agree(out, 0)).toBe(true)
    out.added.push('connection', 'close')
    expect(Answering.agree(out, 0)).toBe(false)
  })

  it('closes the connection with its last request', async () => {
    const { http } = await lab(routes, { options: { maxRequestsPerSocket: 2 } })
    const origin = await http.listen({ host: '127.0.0.1', port: 0 })
    const request = 'GET /plain HTTP/1.1\r\nHost: a\r\n\r\n'
    const answers = (await wire(origin, [request, request], /: close\r\n/)).match(/^Connection: .*$/gm)
    expect(answers).toEqual(['Connection: keep-alive', 'Connection: close'])
  })
})
