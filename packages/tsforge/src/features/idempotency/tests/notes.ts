import { created, httpErrors, reply, route } from '../../../http/index.ts'
import { defineFeature } from '../../../http/feature.ts'
import type { Feature } from '../../../http/feature.ts'
import type { Call } from '../../../http/index.ts'
import { Type } from '../../../http/schema.ts'
import { dbPort } from '../../../primitives/db/index.ts'
import { idempotencyPort } from '../index.ts'
import type { Idempotency } from '../index.ts'

export interface Notes {
  /** How often each text was carried out. */
  readonly runs: string[]
  /** Awaited by the handler of a text before it answers. */
  readonly gates: Map<string, Promise<void>>
  service: Idempotency
}

const Note = Type.Object({ text: Type.String(), n: Type.Integer() }, { $id: 'TestNote' })
const Body = Type.Object({ text: Type.String({ maxLength: 1_000_000 }) })

/** Writes that count how often they are carried out, and answer what their text says. */
export function notes(state: Notes): Feature {
  const write = async ({ body, raw }: Call<unknown, unknown, { readonly text: string }>) => {
    const { text } = body
    state.runs.push(text)
    await state.gates.get(text)
    const n = state.runs.length
    if (text === 'missing') throw httpErrors.error('http.not_found')
    if (text === 'denied') throw httpErrors.error('access.denied')
    if (text === 'busy') throw httpErrors.error('http.overloaded', { retryAfterMs: 1_000 })
    if (text === 'broken') throw new Error('broken')
    if (text === 'streamed') {
      raw.reply.raw.writeHead(200, { 'content-type': 'text/plain' })
      raw.reply.raw.end('streamed')
    }
    if (text === 'cookie')
      return reply({ text, n }, { status: 201, headers: { 'set-cookie': 'a=1', 'x-own': String(n), etag: '"1"' } })
    return created({ text, n }, { location: `/notes/${n}` })
  }
  const base = { body: Body, data: Note, status: 201, summary: 'Write', handler: write } as const
  return defineFeature({
    name: 'notes',
    needs: { db: dbPort, idempotency: idempotencyPort },
    permissions: {},
    setup: ({ idempotency }) => void (state.service = idempotency),
    // `Bearer user tenant scopes`: whoever one says one is.
    authenticator: () => ({
      name: 'bearer',
      scheme: { type: 'http', scheme: 'bearer' },
      authenticate: ({ authorization }) => {
        if (authorization === undefined) return undefined
        const [id = '', tenantId, scopes] = authorization.value.split(' ')
        return {
          kind: 'user',
          id,
          ...(tenantId !== undefined && tenantId !== '-' && { tenantId }),
          ...(scopes !== undefined && { scopes: scopes.split(',') }),
        }
      },
    }),
    routes: () => [
      route({ ...base, method: 'POST', url: '/notes', id: 'a', access: 'authenticated' }),
      route({ ...base, method: 'POST', url: '/other', id: 'b', access: 'authenticated' }),
      route({ ...base, method: 'PUT', url: '/notes', id: 'c', access: 'authenticated' }),
      route({ ...base, method: 'POST', url: '/public', id: 'd', access: 'public' }),
      route({ ...base, method: 'POST', url: '/required', id: 'e', access: 'authenticated', idempotency: 'required' }),
      route({ ...base, method: 'POST', url: '/refused', id: 'f', access: 'authenticated', idempotency: 'refused' }),
      route({
        ...base,
        method: 'POST',
        url: '/query',
        id: 'g',
        access: 'authenticated',
        query: Type.Object({ q: Type.Optional(Type.String()) }),
      }),
      route({ ...base, method: 'POST', url: '/guarded', id: 'i', access: 'authenticated', precondition: 'optional' }),
      route({
        method: 'GET',
        url: '/notes',
        id: 'h',
        summary: 'Count',
        access: 'authenticated',
        data: Type.Object({ n: Type.Integer() }),
        handler: () => ({ n: state.runs.length }),
      }),
    ],
  })
}
