import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkAnswers, checkLog } from '../answers.ts'
import { openDatabase } from '../database.ts'
import type { Database } from '../database.ts'
import { Field, contestants, lines, metricsToken, ours, register } from '../field.ts'
import { load } from '../load.ts'
import { requestsFor } from '../requests.ts'
import { rivalTokens } from '../tokens.ts'

let database: Database
let field: Field
beforeAll(async () => {
  database = await openDatabase()
  field = new Field(database.url, { NODE_OPTIONS: '--conditions=source' })
}, 240_000)
afterAll(async () => {
  field.remove()
  await database.remove()
})

describe('every contestant', () => {
  it.each(contestants.map((contestant) => [contestant.name, contestant] as const))(
    '%s does the whole work that it claims to do',
    async (_, contestant) => {
      const server = await field.launch(contestant)
      let answered = 0
      try {
        const tokens = contestant === ours ? await register(server, 2) : rivalTokens()
        await checkAnswers(server, contestant.extent, tokens[0]!, metricsToken)
        const kinds = requestsFor(tokens)
        for (const kind of kinds) answered += (await load(server.port, kind, 0.3, field.folder, 'node')).requests
      } finally {
        await server.stop()
      }
      expect(answered).toBeGreaterThan(0)
      if (contestant.extent === 'set') await checkLog(server, answered, lines)
    },
    240_000,
  )
})

describe('a server that does less', () => {
  it('is no rival', async () => {
    const lazy = createServer((_, response) => response.end('{"status":"ok"}')).listen(0, '127.0.0.1')
    await once(lazy, 'listening')
    try {
      const { port } = lazy.address() as AddressInfo
      const server = {
        name: 'lazy',
        port,
        pid: process.pid,
        logFile: '',
        startMs: 0,
        cpuSeconds: () => undefined,
        rss: () => undefined,
        stop: async () => {},
      }
      await expect(checkAnswers(server, 'set', 'token', 'token')).rejects.toThrow(
        /without a token answers 401[\s\S]*content-security-policy[\s\S]*request id comes back/,
      )
    } finally {
      lazy.close()
    }
  })
})
