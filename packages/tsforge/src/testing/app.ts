import { randomUUID } from 'node:crypto'
import type { App } from '../host/app.ts'
import { featuresOf } from '../host/config.ts'
import type { AppConfig, Env } from '../host/config.ts'
import { fromPlan } from '../host/create-app.ts'
import { arrange } from '../host/arrange.ts'
import { planApp } from '../host/plan.ts'
import type { Feature } from '../http/feature.ts'
import type { LineSink } from '../kernel/log.ts'
import { createClient } from './client.ts'
import type { CallOptions, Client } from './client.ts'
import { createFakeClock } from './clock.ts'
import type { FakeClock } from './clock.ts'
import { dbPort } from '../primitives/db/index.ts'
import { eventsPort } from '../primitives/events/index.ts'
import { jobsPort } from '../primitives/jobs/index.ts'
import { noStorage, openStorage } from './db.ts'
import type { Storage } from './db.ts'
import { testEvents } from './events.ts'
import type { TestEvents } from './events.ts'
import { testJobs } from './jobs.ts'
import type { TestJobs } from './jobs.ts'
import { testMail } from './mail.ts'
import type { TestMail } from './mail.ts'

export interface TestAppInput {
  /** The app's own config, or only features. */
  readonly config?: AppConfig
  readonly features?: readonly Feature[]
  /** Settings of this test, on top of fast and quiet ones. The machine's environment is not looked at. */
  readonly env?: Env
  /** Default: one that stands at the real time and moves only when told. */
  readonly clock?: FakeClock
  /** URL of a database to share with another app of the test. Default: a fresh one. */
  readonly databaseUrl?: string
}

/** Somebody who has registered and is signed in. */
export interface TestUser extends Client {
  readonly id: string
  readonly email: string
  readonly password: string
  readonly tokens: { readonly access_token: string; readonly refresh_token: string }
}

/** An app for one test: everything real but the clock, nothing listening, a database of its own. */
export interface TestApp extends App {
  readonly clock: FakeClock
  /** Somebody who has not signed in. */
  readonly client: Client
  /** Lines that the app has logged. */
  readonly logged: readonly Readonly<Record<string, unknown>>[]
  readonly databaseUrl: string | undefined
  /** Jobs that wait to be drained or looked at. Throws when no part of the app has jobs. */
  readonly jobs: TestJobs
  /** Events that wait to be delivered. Throws when no part of the app has events. */
  readonly events: TestEvents
  /** Mails that the app has sent. */
  readonly mail: TestMail
  /** The caller with this access token, or this user in another tenant and alike. */
  as(who: string | { readonly tokens: { readonly access_token: string } }, options?: CallOptions): Client
  /** Registers somebody new (feature `accounts`). */
  register(values?: { readonly email?: string; readonly name?: string; readonly password?: string }): Promise<TestUser>
  /** Signs somebody in who has registered. */
  login(user: Pick<TestUser, 'email' | 'password'>): Promise<TestUser>
}

/**
 * Composes an app for one test. Every answer that its clients get is checked against the app's OpenAPI document.
 * `await using app = await createTestApp({ config })` stops it and drops its database at the end of the test.
 */
export async function createTestApp(input: TestAppInput): Promise<TestApp> {
  const clock = input.clock ?? createFakeClock(Date.now())
  const features = input.features ?? []
  const config = input.config ?? { name: 'test', features: [] }
  const settings = { NODE_ENV: 'test', FORGE_SECRET: randomUUID() + randomUUID() }
  const parts = await arrange([...featuresOf(config), ...features])
  const has = (feature: string): boolean => parts.some(({ name }) => name === feature)
  const provided = ({ name }: { readonly name: string }): boolean =>
    parts.some(({ provides }) => provides?.name === name)
  const env = {
    ...settings,
    ...(provided(dbPort) && patient),
    ...(has('accounts') && fastHashing),
    ...(has('ratelimit') && unlimited),
    ...input.env,
  }
  const storage = provided(dbPort)
    ? await openStorage(
        parts.flatMap((part) => part.migrations ?? []),
        input.databaseUrl,
      )
    : noStorage
  const logged: Record<string, unknown>[] = []
  try {
    const plan = await planApp({
      config,
      features: [...features, ...storage.features],
      env: { ...env, ...storage.env },
    })
    const app = await fromPlan(plan, { clock, sink: collector(logged) })
    const jobs = provided(jobsPort) ? testJobs(app) : undefined
    const events = provided(eventsPort) ? testEvents(app) : undefined
    await app.open()
    await jobs?.opened()
    await events?.opened()
    return assemble(app, clock, logged, storage, { jobs, events })
  } catch (error) {
    await storage[Symbol.asyncDispose]()
    throw error
  }
}

/** Hashes that cost a test nothing; production refuses them. */
const fastHashing: Env = {
  FORGE_ACCOUNTS_HASH_INSECURE: 'true',
  FORGE_ACCOUNTS_HASH_MEMORY: '64kb',
  FORGE_ACCOUNTS_HASH_PASSES: '1',
  FORGE_ACCOUNTS_HASH_LANES: '1',
}

/** Many ask at once, and wait for each other, on a machine that may be busy. */
const patient: Env = { DATABASE_POOL_WAIT: '60s', DATABASE_LOCK_TIMEOUT: '60s' }

/** All callers of a test come from one address, within a moment; tests of limits turn this back on. */
const unlimited: Env = { FORGE_RATELIMIT_ENFORCED: 'false' }

function assemble(
  app: App,
  clock: FakeClock,
  logged: readonly Record<string, unknown>[],
  storage: Storage,
  { jobs, events }: { readonly jobs: TestJobs | undefined; readonly events: TestEvents | undefined },
): TestApp {
  const client = createClient(app)
  const enter = async (verb: string, values: { email: string; password: string; name?: string }): Promise<TestUser> => {
    const { status, body } = await client.post<{ user: { id: string }; tokens: TestUser['tokens'] }>(
      `/api/v1/auth/${verb}`,
      values,
    )
    if (status >= 300) throw new Error(`${verb} answered ${status} ${body.error.code}: ${body.error.message}`)
    const { user, tokens } = body.data
    return Object.assign(createClient(app, { token: tokens.access_token }), {
      id: user.id,
      tokens,
      email: values.email,
      password: values.password,
    })
  }
  const own = {
    clock,
    client,
    logged,
    databaseUrl: storage.url,
    get jobs(): TestJobs {
      return jobs ?? testJobs(app)
    },
    get events(): TestEvents {
      return events ?? testEvents(app)
    },
    mail: testMail(app),
    as: (who: string | { readonly tokens: { readonly access_token: string } }, options: CallOptions = {}) =>
      createClient(app, { ...options, token: typeof who === 'string' ? who : who.tokens.access_token }),
    register: ({
      email = `${randomUUID()}@example.com`,
      name = 'Ada Lovelace',
      password = `pass phrase ${randomUUID()}`,
    } = {}) => enter('register', { email, name, password }),
    login: ({ email, password }: Pick<TestUser, 'email' | 'password'>) => enter('login', { email, password }),
    async [Symbol.asyncDispose]() {
      try {
        await app.stop()
      } finally {
        await storage[Symbol.asyncDispose]()
      }
    },
  }
  // The app's members live on its prototype; a proxy keeps them bound to it.
  return new Proxy(app, {
    get: (target, key) => {
      if (Object.hasOwn(own, key)) return own[key as keyof typeof own]
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value
    },
  }) as TestApp
}

function collector(lines: Record<string, unknown>[]): LineSink {
  return {
    write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>),
    flushSync: () => {},
  }
}
