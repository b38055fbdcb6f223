import { createReadStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Extent } from './answers.ts'
import { connections } from './load.ts'
import { launch } from './processes.ts'
import type { Server } from './processes.ts'
import { secret } from './tokens.ts'

/** A server of the HTTP bench. */
export interface Contestant {
  /** Last part of its claims. */
  readonly name: string
  readonly script: string
  readonly extent: Extent
}

export const ours: Contestant = { name: 'tsforge', script: 'tsforge.js', extent: 'set' }
export const raw: Contestant = { name: 'raw', script: 'raw.js', extent: 'bare' }
export const contestants: readonly Contestant[] = [
  ours,
  raw,
  { name: 'raw_set', script: 'raw-set.js', extent: 'set' },
  { name: 'fastify', script: 'fastify.js', extent: 'bare' },
  { name: 'fastify_set', script: 'fastify-set.js', extent: 'set' },
  { name: 'hono_set', script: 'hono-set.js', extent: 'set' },
  { name: 'express_set', script: 'express-set.js', extent: 'set' },
  { name: 'nest_set', script: 'nest-set.js', extent: 'set' },
]

export const metricsToken = 'bench-metrics-token-0123456789'

/** One place for logs, compile caches and the settings of every server. */
export class Field {
  readonly folder = mkdtempSync(join(tmpdir(), 'tsforge-bench-'))
  readonly #databaseUrl: string
  readonly #extra: Readonly<Record<string, string>>

  /** `extra` goes to the environment of every server. */
  constructor(databaseUrl: string, extra: Readonly<Record<string, string>> = {}) {
    this.#databaseUrl = databaseUrl
    this.#extra = extra
  }

  launch({ name, script }: Contestant): Promise<Server> {
    return launch({ name, script, folder: this.folder, env: name === ours.name ? this.#ourEnv() : this.#rivalEnv() })
  }

  #sharedEnv(): Record<string, string> {
    // What `forge start` and its npm script switch on, for everybody.
    return {
      ...this.#extra,
      NODE_OPTIONS: ['--max-semi-space-size=8', this.#extra.NODE_OPTIONS].filter(Boolean).join(' '),
      NODE_ENV: 'production',
      DATABASE_URL: this.#databaseUrl,
      NODE_COMPILE_CACHE: join(this.folder, 'compiled'),
    }
  }

  #rivalEnv(): Record<string, string> {
    return { ...this.#sharedEnv(), BENCH_SECRET: secret }
  }

  #ourEnv(): Record<string, string> {
    return {
      ...this.#sharedEnv(),
      FORGE_SECRET: 'fJ3v9Qn2Lr8Xw5Tz7Yb4Kc6Md1Hg0Ps+Ua/Ei=',
      FORGE_KEYS_ISSUER: 'https://bench.example.com',
      FORGE_MIGRATE: 'auto',
      FORGE_DRAIN_GRACE: '0s',
      FORGE_METRICS_TOKEN: metricsToken,
      FORGE_CORS_ORIGINS: 'https://app.example.com',
    }
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Access tokens as a user gets them: our keys sign no others. */
export async function register(server: Server, users: number = connections): Promise<string[]> {
  const tokens: string[] = []
  for (let index = 0; index < users; index++) {
    const body = JSON.stringify({
      email: `bench${index}.${Date.now()}@example.com`,
      password: `correct horse battery ${index}`,
      name: `Bench ${index}`,
    })
    const response = await fetch(`http://127.0.0.1:${server.port}/api/v1/auth/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    const answer = (await response.json()) as { data?: { tokens: { access_token: string } } }
    if (response.status !== 201) throw new Error(`register: ${response.status} ${JSON.stringify(answer)}`)
    tokens.push(answer.data!.tokens.access_token)
  }
  return tokens
}

/** Lines of a file of any size. */
export async function lines(file: string): Promise<number> {
  let count = 0
  for await (const chunk of createReadStream(file)) {
    for (let at = (chunk as Buffer).indexOf(10); at >= 0; at = (chunk as Buffer).indexOf(10, at + 1)) count++
  }
  return count
}
