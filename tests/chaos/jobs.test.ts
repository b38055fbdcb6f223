import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Db } from 'tsforge/db'
import type { RunnerOptions } from 'tsforge/jobs'
import { anyDatabase, ownServer, randomness, witness } from './arena.ts'
import { effect, turn } from './jobs-process.ts'
import { prepare, standstills, stood, unexplained, until, worker } from './jobs-workers.ts'
import type { Fault, JobsProcess, Ran } from './jobs-workers.ts'

// Several processes start in each test, which takes a busy machine its time.
vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

/** The whole of it takes minutes. */
const long = process.env['FORGE_TEST_LONG'] !== undefined
const leaseMs = 1000
/** A machine that stands still for longer than the lease would be a fault. */
const longLease: RunnerOptions = { leaseMs: 30_000 }
/** What a storm costs on a machine that has other work too. */
const stormLeaseMs = 2500

const processes = new Set<JobsProcess>()
afterEach(async () => {
  for (const each of processes) await each[Symbol.asyncDispose]()
  processes.clear()
})

async function start(url: string, name: string, options: RunnerOptions = {}): Promise<JobsProcess> {
  const started = await worker(url, name, { leaseMs, concurrency: 20, ...options })
  processes.add(started)
  return started
}

async function ran(db: Db): Promise<Ran[]> {
  const { rows } = await db.query<Ran>(
    'select n, worker, (extract(epoch from began) * 1000)::float8 as "atMs" from effects order by began',
    [],
  )
  return rows
}

async function count(db: Db, text: string): Promise<number> {
  return (await db.query<{ n: number }>(`select count(*)::int as n from ${text}`, [])).rows[0]!.n
}

describe('jobs that are added in transactions while everything fails', () => {
  it('run if and only if their transaction committed, and more than once only where a fault explains it', async () => {
    await using server = await ownServer()
    await using db = witness(server.url)
    const jobs = await prepare(db)
    const seed = Math.floor(Math.random() * 2 ** 32)
    const random = randomness(seed)
    const between = (low: number, high: number): number => low + random() * (high - low)
    const wanted = long ? 10_000 : 1500
    const stormMs = long ? 150_000 : 15_000

    const names = ['first', 'second', 'third']
    const fleet = await Promise.all(names.map((name) => start(server.url, name, { leaseMs: stormLeaseMs })))
    // Nobody kills or stops this one: it has to come back by itself, each time.
    const survivor = await start(server.url, 'survivor', { leaseMs: stormLeaseMs })
    const faults: Fault[] = []
    using _ = standstills(stormLeaseMs / 3, (fault) => faults.push(fault))
    const ended: { readonly pid: number; readonly how: number | string }[] = []
    const killed = new Set<number>()
    const all: JobsProcess[] = []
    const watch = (each: JobsProcess): void => {
      all.push(each)
      void each.exit.then((how) => ended.push({ pid: each.pid, how }))
    }
    for (const each of [...fleet, survivor]) watch(each)

    let next = 0
    const undone: number[] = []
    /** Adds until there are enough; what fails is neither retried nor forgotten: the orders tell whether it committed. */
    const adding = (async () => {
      while (next < wanted) {
        const first = next
        next = Math.min(wanted, next + 10)
        const rollback = random() < 0.1
        if (rollback) undone.push(...Array.from({ length: next - first }, (_, i) => first + i))
        await db
          .tx(async (tx) => {
            for (let n = first; n < next; n++) {
              await tx.query('insert into orders (n) values ($1)', [n])
              await jobs.enqueue(effect, { n, tookMs: Math.round(between(0, 400)) }, {}, tx)
            }
            if (rollback) throw new Error('no order after all')
          })
          // Whoever cannot add waits a little.
          .catch(() => (rollback ? undefined : sleep(300)))
        await sleep(((stormMs * 0.9) / wanted) * 10 * between(0.2, 1))
      }
    })()

    const during = async (
      what: string,
      pid: number | undefined,
      ms: number,
      begin: () => unknown,
      end: () => unknown,
    ) => {
      const fault: Fault = {
        what,
        ...(pid !== undefined && { pid }),
        fromMs: Date.now(),
        untilMs: Number.POSITIVE_INFINITY,
      }
      faults.push(fault)
      await begin()
      await sleep(ms)
      await end()
      fault.untilMs = Date.now()
    }
    const end = performance.now() + stormMs
    const harm = async (place: number): Promise<void> => {
      await sleep(between(300, 1200))
      const victim = fleet[place]!
      const dice = random()
      if (dice < 0.4) {
        killed.add(victim.pid)
        await during(
          'kill -9',
          victim.pid,
          between(0, 500),
          () => victim.kill('SIGKILL'),
          () => victim.exit,
        )
        fleet[place] = await start(server.url, victim.name, { leaseMs: stormLeaseMs })
        watch(fleet[place])
      } else if (dice < 0.7) {
        await during(
          'SIGSTOP',
          victim.pid,
          stormLeaseMs * between(1.2, 1.6),
          () => victim.kill('SIGSTOP'),
          () => victim.kill('SIGCONT'),
        )
      } else {
        const target = random() < 0.25 ? survivor : victim
        await during(
          'connections ended',
          target.pid,
          0,
          () =>
            db
              .query('select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1', [
                `${target.name}%`,
              ])
              .catch(() => undefined),
          () => {},
        )
      }
    }
    const restart = async (): Promise<void> => {
      await sleep(long ? between(5000, 20_000) : between(4000, 6000))
      const how = random() < 0.5 ? 'kill -9' : 'fast shutdown'
      await during(
        `PostgreSQL: ${how}`,
        undefined,
        between(0, 1500),
        () => server.down(how),
        () => server.up(),
      )
    }
    const again = async (harm: () => Promise<void>): Promise<void> => {
      while (performance.now() < end) await harm()
    }
    const storm = Promise.all([...fleet.keys()].map((place) => again(() => harm(place))).concat(again(restart)))
    await Promise.all([adding, storm])

    const committed = await count(db, 'orders')
    await until('all jobs have ended', async () => (await count(db, 'forge_jobs')) === 0)
    const missing = `orders o where not exists (select from effects e where e.n = o.n)`
    expect(await count(db, missing), `seed ${seed}: lost`).toBe(0)
    const surplus = `effects e where not exists (select from orders o where o.n = e.n)`
    expect(await count(db, surplus), `seed ${seed}: ran though rolled back`).toBe(0)
    expect(await count(db, `orders where n = any ('{${undone.join()}}')`)).toBe(0)
    expect(await count(db, 'forge_jobs_dead'), `seed ${seed}: dead`).toBe(0)
    expect(await count(db, 'forge_jobs_done'), `seed ${seed}: finished`).toBe(committed)
    const runs = await ran(db)
    const kinds = Map.groupBy(faults, ({ what }) => what)
    console.info(
      `${committed} jobs, ${runs.length} runs; faults: ${[...kinds].map(([what, all]) => `${all.length} × ${what}`).join(', ')}`,
    )
    expect(
      unexplained(runs, [...faults, ...all.flatMap(stood)], 2000),
      `seed ${seed}: run again for no reason`,
    ).toEqual([])
    // Only those that were killed have ended, and the others still work.
    expect(ended.filter(({ pid }) => !killed.has(pid))).toEqual([])
    // One that is quick may take all that there is, so there is more until each has had some.
    await until('each process works', async () => {
      const more = Array.from({ length: 50 }, () => ({ payload: { n: 1_000_000, tookMs: 100 } }))
      await jobs.enqueueMany(effect, more)
      await sleep(100)
      const { rows } = await db.query<{ worker: number }>('select distinct worker from effects where n = 1000000', [])
      const idle = [...fleet, survivor].filter(({ pid }) => !rows.some((row) => row.worker === pid))
      if (idle.length > 0) throw new Error(`${idle.map(({ name, pid }) => `${name} (${pid})`).join(', ')} does nothing`)
      return true
    })
  }, 300_000)

  it('run exactly once when nothing fails', async () => {
    await using database = await anyDatabase()
    await using db = witness(database.url)
    const jobs = await prepare(db)
    await Promise.all(['first', 'second', 'third'].map((name) => start(database.url, name, longLease)))
    await jobs.enqueueMany(
      effect,
      Array.from({ length: 3000 }, (_, n) => ({ payload: { n, tookMs: n % 5 } })),
    )
    await until('all jobs have ended', async () => (await count(db, 'forge_jobs')) === 0)
    expect(unexplained(await ran(db), [], 0)).toEqual([])
    expect(await count(db, 'effects')).toBe(3000)
  })
})

describe('the judge of runs', () => {
  const runs = [
    { n: 1, worker: 7, atMs: 1000 },
    { n: 1, worker: 8, atMs: 5000 },
    { n: 2, worker: 8, atMs: 5000 },
  ]

  it('wants a fault of the process that left a job behind', () => {
    expect(unexplained(runs, [{ what: 'kill -9', pid: 7, fromMs: 1500, untilMs: 1600 }], 1000)).toEqual([])
    expect(unexplained(runs, [{ what: 'PostgreSQL', fromMs: 1500, untilMs: 1600 }], 1000)).toEqual([])
    expect(unexplained(runs, [{ what: 'kill -9', pid: 7, fromMs: 3500, untilMs: 3600 }], 1000)).toEqual([runs[1]])
    expect(unexplained(runs, [{ what: 'kill -9', pid: 9, fromMs: 1500, untilMs: 1600 }], 1000)).toEqual([runs[1]])
  })
})

describe('a process that goes away', () => {
  it('leaves its jobs to others soon after its lease', async () => {
    await using database = await anyDatabase()
    await using db = witness(database.url)
    const jobs = await prepare(db)
    const victim = await start(database.url, 'victim')
    await jobs.enqueueMany(
      effect,
      Array.from({ length: 20 }, (_, n) => ({ payload: { n, tookMs: 60_000 } })),
    )
    // Who stands still for longer than its lease begins some again.
    const begun = (by: JobsProcess): Promise<number> =>
      count(db, `(select distinct n from effects where worker = ${by.pid}) begun`)
    await until('all have begun', async () => (await begun(victim)) === 20)
    const heir = await start(database.url, 'heir', { concurrency: 50, ...longLease })
    victim.kill('SIGKILL')
    await victim.exit
    const killedAt = Date.now()
    await until('all have begun again', async () => (await begun(heir)) === 20)
    const again = (await ran(db)).filter(({ worker: pid }) => pid === heir.pid)
    expect(again).toHaveLength(20)
    // 3 s at most by the clock of its heirs, which tests with a clock of their own hold; a busy machine takes its time.
    expect(Math.max(...again.map(({ atMs }) => atMs)) - killedAt).toBeLessThanOrEqual(leaseMs + 15_000)
  })

  it('and comes back after its lease cannot end what others run', async () => {
    await using database = await anyDatabase()
    await using db = witness(database.url)
    const jobs = await prepare(db)
    const zombie = await start(database.url, 'zombie', { ...longLease, worker: 'zombie' })
    const { id } = await jobs.enqueue(effect, { n: 1, tookMs: 0, held: true })
    await until('it has begun', () => zombie.told.some((told) => 'began' in told))
    zombie.kill('SIGSTOP')
    const heir = await start(database.url, 'heir', longLease)
    await until('the other has ended it', async () => {
      // Its lease is over: again and again, since a heartbeat may have been under way.
      await db.query(`update forge_jobs_leases set until = now() where worker = 'zombie'`, [])
      return (await jobs.get(id!))?.state === 'done'
    })
    zombie.kill('SIGCONT')
    zombie.release()
    await until('the first was told that it came too late', () =>
      zombie.told.some((told) => 'ended' in told && told.ended === 1 && told.as === 'late'),
    )
    expect((await jobs.get(id!))?.output).toBe(heir.pid)
    expect((await ran(db)).map((run) => run.worker)).toEqual([zombie.pid, heir.pid])
    expect(await count(db, 'forge_jobs_done')).toBe(1)
  })
})

describe('SIGTERM', () => {
  it('hands back at once what has not begun, and lets end what has', async () => {
    await using database = await anyDatabase()
    await using db = witness(database.url)
    const jobs = await prepare(db)
    const leaving = await start(database.url, 'leaving', { concurrency: 5, graceMs: 100_000, ...longLease })
    // Quick ones let it take a stock, of which the slow ones come next.
    await jobs.enqueueMany(
      effect,
      Array.from({ length: 1000 }, (_, n) => ({ payload: { n, tookMs: 0, held: n >= 300 } })),
    )
    await until('slow ones run', async () => (await count(db, 'effects where n >= 300')) >= 5)
    leaving.kill('SIGTERM')
    const running = async (): Promise<number> => (await jobs.stats())[0]!.counts.running
    await until('only what runs is leased', async () => (await running()) <= 5)
    // At once: before what runs has ended.
    expect(await count(db, 'forge_jobs_done')).toBeLessThanOrEqual(await count(db, 'effects where n < 300'))
    leaving.release()
    expect(await leaving.exit).toBe(0)
    const begun = await count(db, 'effects')
    expect(await count(db, 'forge_jobs_done')).toBe(begun)
    expect((await jobs.stats())[0]!.counts).toMatchObject({ ready: 1000 - begun, running: 0, retrying: 0, dead: 0 })
    expect(unexplained(await ran(db), [], 0)).toEqual([])
  })

  it('hands back what does not end in the grace time, with its attempt', async () => {
    await using database = await anyDatabase()
    await using db = witness(database.url)
    const jobs = await prepare(db)
    const leaving = await start(database.url, 'leaving', { concurrency: 5, leaseMs: 30_000, graceMs: 300 })
    await jobs.enqueueMany(
      effect,
      Array.from({ length: 5 }, (_, n) => ({ payload: { n, tookMs: 60_000, deaf: n % 2 === 0 } })),
    )
    await until('all have begun', async () => (await count(db, 'effects')) === 5)
    leaving.kill('SIGTERM')
    expect(await leaving.exit).toBe(0)
    expect((await jobs.stats())[0]!.counts).toMatchObject({ ready: 5, running: 0, retrying: 0, dead: 0 })
    const heir = await start(database.url, 'heir', longLease)
    await until('another has begun them', async () => (await count(db, `effects where worker = ${heir.pid}`)) === 5)
    expect(await count(db, 'effects where attempt = 1')).toBe(10)
  })
})

describe('a limit of five for each tenant, in four processes', () => {
  it('is never passed, is used, and lets nobody wait for the many jobs of another', async () => {
    await using database = await anyDatabase()
    await using db = witness(database.url)
    const jobs = await prepare(db)
    await jobs.configure('turns', { perKey: { concurrency: 5 }, fair: true })
    const many = long ? 100_000 : 20_000
    for (let from = 0; from < many; from += 10_000)
      await jobs.enqueueMany(
        turn,
        Array.from({ length: 10_000 }, (_, n) => ({ payload: { n: from + n, tookMs: 40 } })),
        { key: 'many' },
      )
    await Promise.all(['first', 'second', 'third', 'fourth'].map((name) => start(database.url, name, longLease)))
    await until('it is under way', async () => (await count(db, 'effects')) > 20)
    const waits: number[] = []
    const overtakers: number[] = []
    for (let n = 0; n < 5; n++) {
      const { id } = await jobs.enqueue(turn, { n: many + n, tookMs: 10 }, { key: `single ${n}` })
      await until('the single one has begun', async () => (await count(db, `effects where n = ${many + n}`)) === 1)
      const { rows } = await db.query<{ ms: number; before: number }>(
        `select (extract(epoch from e.began - d.created_at) * 1000)::float8 as ms,
           (select count(*)::int from effects o where o.key = 'many' and o.began between d.created_at and e.began) as before
         from effects e join forge_jobs_view d on d.id = $2 where e.n = $1`,
        [many + n, id],
      )
      waits.push(rows[0]!.ms)
      overtakers.push(rows[0]!.before)
      await sleep(300)
    }
    // A run counts from its first trace to its last: it is shorter than what it held of the limit.
    const { rows } = await db.query<{ most: number }>(
      `select max(at_once)::int as most from (
         select sum(step) over (order by at, step) as at_once from (
           select began as at, 1 as step from effects where key = 'many'
           union all select ended, -1 from effects where key = 'many' and ended is not null
         ) moments
       ) counted`,
      [],
    )
    const told = `waits ${waits.map(Math.round).join(', ')} ms, behind ${overtakers.join(', ')} others`
    console.info(`${many} jobs of one tenant; single ones: ${told}`)
    expect(rows[0]!.most).toBe(5)
    // Five at once of 40 ms each are 125 in the second that one may wait; a machine that is slow is slow to all of them.
    expect(Math.max(...overtakers), told).toBeLessThanOrEqual(125)
    expect(Math.max(...waits), told).toBeLessThanOrEqual(10_000)
  })
})
