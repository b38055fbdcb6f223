import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Db } from 'tsforge/db'
import { eventually, launch } from '../e2e/product.ts'
import type { Product, Reply } from '../e2e/product.ts'
import { anyDatabase, arena, randomness, witness } from './arena.ts'
import type { Arena } from './arena.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

/** A machine that stands still for longer than the lease would be a fault: it is short only where it is to run out. */
const settings = {
  FORGE_SECRET: 'nobody-guesses-this-0123456789-abcdefghijk',
  FORGE_IDEMPOTENCY_LEASE: '30s',
  FORGE_IDEMPOTENCY_WAIT: '200ms',
  // What is held back waits for a gate.
  DATABASE_LOCK_TIMEOUT: '60s',
  DATABASE_STATEMENT_TIMEOUT: '60s',
}

let place: Arena
let database: Awaited<ReturnType<typeof anyDatabase>>
let db: Db & AsyncDisposable
beforeAll(async () => {
  place = arena()
  database = await anyDatabase()
  db = witness(database.url)
})
afterAll(async () => {
  await db[Symbol.asyncDispose]()
  await database[Symbol.asyncDispose]()
  await place[Symbol.asyncDispose]()
})

const replica = (env: Readonly<Record<string, string>> = {}): Promise<Product> =>
  launch({ root: place.root, env: { ...settings, DATABASE_URL: database.url, ...env } })
const skewed = (ms: number): Promise<Product> =>
  replica({
    FORGE_IDEMPOTENCY_LEASE: '9s',
    CLOCK_SKEW_MS: String(ms),
    NODE_OPTIONS: `--import=${new URL('./skew.ts', import.meta.url).href}`,
  })

/** Holds back what pays, within its transaction, until it is told to let go. */
async function gate(): Promise<AsyncDisposable & { open(): Promise<void> }> {
  const session = await db.connect()
  await session.query('begin; lock table payments in share mode')
  let open: Promise<void> | undefined
  const letGo = (): Promise<void> =>
    (open ??= session.query('rollback').then(
      () => session.release(),
      () => session.release(),
    ))
  return { open: letGo, [Symbol.asyncDispose]: letGo }
}

interface Order {
  readonly id: string
  readonly before_ms?: number
  readonly after_ms?: number
}
type Answer = Reply<{ readonly id: string }>
const order = (over: Partial<Order> = {}): Order => ({ id: randomUUID(), ...over })
const pay = (product: Product, body: Order): Promise<Answer> =>
  product.ask('POST', '/payments', { body, headers: { 'idempotency-key': body.id } })

const paid = async ({ id }: Order): Promise<number> =>
  (await db.query<{ n: number }>('select count(*)::int as n from payments where id = $1', [id])).rows[0]!.n
/** Waits until the claim of a new key is in the store. */
const claimed = (before: number): Promise<true> =>
  eventually(async () => ((await claims()) > before ? true : undefined))
const claims = async (): Promise<number> =>
  (await db.query<{ n: number }>('select count(*)::int as n from forge_idempotency_keys', [])).rows[0]!.n
/** As a well-behaved client: the same request again until the answer is final. */
const insist = (product: Product, body: Order): Promise<Answer> =>
  eventually(async () => {
    const reply = await pay(product, body)
    if (reply.status === 409) expect(reply.headers.get('retry-after')).toBe('1')
    return reply.status === 409 || reply.status === 503 ? undefined : reply
  })

describe('with two processes', () => {
  let one: Product
  let two: Product
  beforeAll(async () => {
    one = await replica()
    two = await replica()
  })
  afterAll(async () => {
    await two[Symbol.asyncDispose]()
    await one[Symbol.asyncDispose]()
  })

  it('fifty identical requests at once have one effect, and get one answer or 409 with Retry-After', async () => {
    for (const pace of [order(), order({ before_ms: 50 }), order({ before_ms: 600, after_ms: 100 })]) {
      const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => pay(i % 2 === 0 ? one : two, pace)))
      expect(await paid(pace)).toBe(1)
      const good = answers.filter(({ status }) => status === 201)
      expect(good.length).toBeGreaterThan(0)
      expect(new Set(good.map(({ body }) => JSON.stringify(body))).size).toBe(1)
      expect(good.filter(({ headers }) => headers.get('idempotent-replayed') === null)).toHaveLength(1)
      for (const { status, headers, body } of answers.filter((answer) => !good.includes(answer)))
        expect([status, body.error.code, headers.get('retry-after')]).toEqual([409, 'idempotency.in_progress', '1'])
      expect((await pay(two, pace)).body).toEqual(good[0]!.body)
    }
  })

  it('a holder that stands still for longer than its lease is overtaken, and cannot commit when it wakes', async () => {
    await using frozen = await replica({ FORGE_IDEMPOTENCY_LEASE: '1s' })
    const slow = order()
    const before = await claims()
    await using closed = await gate()
    const late = pay(frozen, slow)
    await claimed(before)
    frozen.kill('SIGSTOP')
    await closed.open()
    const heir = await insist(one, slow)
    expect(heir.status).toBe(201)
    frozen.kill('SIGCONT')
    const { status, body, headers } = await late
    expect([status, body.error.code, headers.get('retry-after')]).toEqual([409, 'idempotency.lease_lost', '1'])
    expect(await paid(slow)).toBe(1)
    expect((await insist(frozen, slow)).body).toEqual(heir.body)
  })
})

describe('a process that is killed -9', () => {
  let survivor: Product
  beforeAll(async () => {
    survivor = await replica()
  })
  afterAll(() => survivor[Symbol.asyncDispose]())
  it('between claim and commit has done nothing: the next try, after the lease, carries the request out', async () => {
    await using doomed = await replica()
    const body = order()
    const before = await claims()
    await using closed = await gate()
    const lost = pay(doomed, body).catch((error: unknown) => error)
    await claimed(before)
    doomed.kill('SIGKILL')
    expect(await lost).toBeInstanceOf(Error)
    await closed.open()
    expect(await paid(body)).toBe(0)
    // As long as the lease lasts nobody can know that its holder is dead.
    expect(await pay(survivor, body)).toMatchObject({
      status: 409,
      body: { error: { code: 'idempotency.in_progress' } },
    })
    await db.query(`update forge_idempotency_keys set lease_until = now() where lease_until > now()`, [])
    const answer = await insist(survivor, body)
    expect([answer.status, answer.headers.get('idempotent-replayed')]).toEqual([201, null])
    expect(await paid(body)).toBe(1)
    expect((await pay(survivor, body)).headers.get('idempotent-replayed')).toBe('true')
    expect(await paid(body)).toBe(1)
  })

  it('between commit and answer has lost nothing: the next try gets the answer that committed with the effect', async () => {
    await using doomed = await replica()
    const body = order({ after_ms: 60_000 })
    const lost = pay(doomed, body).catch((error: unknown) => error)
    await eventually(async () => (await paid(body)) === 1)
    doomed.kill('SIGKILL')
    expect(await lost).toBeInstanceOf(Error)
    const answer = await pay(survivor, body)
    expect([answer.status, answer.headers.get('idempotent-replayed'), answer.headers.get('location')]).toEqual([
      201,
      'true',
      `/payments/${body.id}`,
    ])
    expect(answer.body.data).toEqual({ id: body.id })
    expect(await paid(body)).toBe(1)
  })

  it('at any moment under load leaves every request carried out exactly once in the end', async () => {
    const random = randomness()
    const mortal = (): Promise<Product> => replica({ FORGE_IDEMPOTENCY_LEASE: '1s' })
    let doomed = await mortal()
    const bodies: Order[] = []
    let stopped = false
    const caller = async (): Promise<void> => {
      while (!stopped) {
        const body = order({ before_ms: Math.floor(random() * 40), after_ms: Math.floor(random() * 40) })
        bodies.push(body)
        // Half of the tries hit the process that dies again and again.
        const answer = await eventually(async () => {
          const reply = await pay(random() < 0.5 ? survivor : doomed, body).catch(() => undefined)
          return reply?.status === 201 ? reply : undefined
        })
        expect(answer.body.data.id).toBe(body.id)
      }
    }
    const callers = Promise.all(Array.from({ length: 8 }, caller))
    for (let death = 0; death < 4; death++) {
      const seen = bodies.length
      const enough = 20 + Math.floor(random() * 20)
      await eventually(() => bodies.length > seen + enough)
      doomed.kill('SIGKILL')
      await doomed.exited
      doomed = await mortal()
    }
    stopped = true
    await callers
    await doomed[Symbol.asyncDispose]()
    const { rows } = await db.query<{ id: string; n: number }>(
      'select id, count(*)::int as n from payments where id = any($1::uuid[]) group by id',
      [bodies.map(({ id }) => id)],
    )
    expect(rows.filter(({ n }) => n !== 1)).toEqual([])
    expect(rows).toHaveLength(bodies.length)
    expect(bodies.length).toBeGreaterThan(80)
  })
})

describe('replicas whose clocks are hours apart', () => {
  it('neither take work from each other nor forget an answer', async () => {
    await using ahead = await skewed(5 * 3_600_000)
    await using behind = await skewed(-5 * 3_600_000)
    const before = await claims()
    const leases = async (): Promise<Date[]> => {
      const { rows } = await db.query<{ at: Date }>(
        'select lease_until as at from forge_idempotency_keys where answer is null and lease_until > now() order by id',
      )
      return rows.map(({ at }) => at)
    }
    await using closed = await gate()
    const pairs = [
      [ahead, behind],
      [behind, ahead],
    ] as const
    const works = pairs.map(([first, second]) => {
      const body = order()
      return { body, second, working: pay(first, body) }
    })
    await claimed(before + 1)
    const first = await leases()
    expect(first).toHaveLength(2)
    // Each goes on by its heartbeat, whatever its clock says.
    await eventually(async () => {
      const now = await leases()
      expect(now).toHaveLength(2)
      return now.every((at, place) => at > first[place]!)
    })
    for (const { body, second } of works) expect((await pay(second, body)).status).toBe(409)
    await closed.open()
    for (const { body, second, working } of works) {
      const answer = await working
      expect(answer.status).toBe(201)
      expect(await pay(second, body)).toMatchObject({ status: 201, body: answer.body })
      expect(await paid(body)).toBe(1)
    }
  })
})
