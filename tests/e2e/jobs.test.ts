import { spawn } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable } from 'node:stream'
import { mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createDb } from 'tsforge/db'
import type { Db } from 'tsforge/db'
import { postgres as database } from 'tsforge/db/postgres'
import { createJobs, defineJob } from 'tsforge/jobs'
import type { Jobs } from 'tsforge/jobs'
import { postgres } from 'tsforge/jobs/postgres'
import { anyDatabase } from '../chaos/arena.ts'
import { eventually, forge, forgeBin } from './product.ts'

/** An app that does nothing but jobs; each run leaves a line with its process. */
const config = `
import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { defineConfig } from 'tsforge'
import { defineJob, defineSchedule, handle, jobs } from 'tsforge/jobs'

const work = defineJob({ kind: 'e2e.work', maxAttempts: 3, backoff: { baseMs: 1, capMs: 10 } })
const fail = defineJob({ kind: 'e2e.fail', maxAttempts: 1 })
const nightly = defineJob({ kind: 'e2e.nightly' })
export default defineConfig({
  name: 'worked',
  features: [jobs()],
  jobs: [
    handle(work, async ({ payload: { n, tookMs }, attempt, signal, progress }) => {
      appendFileSync(new URL('./runs', import.meta.url), [n, process.pid, attempt].join(' ') + '\\n')
      progress({ begun: true })
      await sleep(tookMs, undefined, { signal })
      return { by: process.pid }
    }),
    handle(fail, () => {
      throw new Error('the printer is on fire')
    }),
    handle(nightly, () => 'slept'),
  ],
  schedules: [defineSchedule({ name: 'nightly', job: nightly, cron: '30 2 * * *', timeZone: 'Europe/Berlin' })],
})
`
const work = defineJob<{ n: number; tookMs: number }>({
  kind: 'e2e.work',
  maxAttempts: 3,
  backoff: { baseMs: 1, capMs: 10 },
})
const fail = defineJob({ kind: 'e2e.fail', maxAttempts: 1 })

let root: string
let url: string
let db: Db
let jobs: Jobs
let remove: () => Promise<void>
type Worker = ChildProcessByStdio<null, Readable, Readable>
const started = new Set<Worker>()

beforeAll(async () => {
  const fresh = await anyDatabase()
  url = fresh.url
  db = createDb(database({ url, max: 3 }))
  jobs = createJobs(postgres({ db }))
  remove = async () => fresh[Symbol.asyncDispose]()
  root = mkdtempSync(join(tmpdir(), 'forge-e2e-jobs-'))
  symlinkSync(resolve(import.meta.dirname, '../../node_modules'), join(root, 'node_modules'))
  writeFileSync(join(root, 'forge.config.ts'), config)
  const { code, err } = await ask('migrate', 'up')
  if (code !== 0) throw new Error(err)
})
beforeEach(async () => {
  writeFileSync(join(root, 'runs'), '')
  await db.query('truncate forge_jobs, forge_jobs_leases, forge_jobs_dead, forge_jobs_done, forge_jobs_queues')
})
afterEach(async () => {
  for (const child of started) {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  started.clear()
})
afterAll(async () => {
  await db.close()
  await remove()
  await rm(root, { recursive: true, force: true })
})

async function told<T>(...args: string[]): Promise<T> {
  const { code, out, err, json } = await ask('jobs', ...args, '--json')
  if (code !== 0) throw new Error(`exit code ${code}\n${out}\n${err}`)
  return json as T
}

const ask = (...args: string[]): ReturnType<typeof forge> => forge(root, args, { DATABASE_URL: url })

/** A process of `forge worker` that works. */
async function worker(env: Readonly<Record<string, string>> = {}): Promise<Worker> {
  const child = spawn(process.execPath, [forgeBin, 'worker', '--json', '--cwd', root], {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: root,
    env: {
      PATH: process.env['PATH'],
      HOME: root,
      NODE_ENV: 'development',
      DATABASE_URL: url,
      // Long enough that a process which waits for a processor does not lose it.
      FORGE_JOBS_LEASE: '30s',
      FORGE_JOBS_CONCURRENCY: '5',
      ...env,
    },
  })
  started.add(child)
  let err = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
  const ended = once(child, 'exit').then(() => Promise.reject(new Error(`the worker ended\n${err}`)))
  ended.catch(() => {})
  await Promise.race([once(child.stdout, 'data'), ended])
  return child
}

const runs = (): { n: number; pid: number; attempt: number }[] =>
  readFileSync(join(root, 'runs'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [n, pid, attempt] = line.split(' ').map(Number)
      return { n: n!, pid: pid!, attempt: attempt! }
    })
/** One that stood still for longer than its lease begins some twice. */
const jobsBegunBy = ({ pid }: Worker): number =>
  new Set(
    runs()
      .filter((run) => run.pid === pid)
      .map(({ n }) => n),
  ).size
const count = async (table: string): Promise<number> =>
  (await db.query<{ n: number }>(`select count(*)::int as n from ${table}`)).rows[0]!.n
const add = (jobCount: number, tookMs: number, from = 0): Promise<unknown> =>
  jobs.enqueueMany(
    work,
    Array.from({ length: jobCount }, (_, n) => ({ payload: { n: from + n, tookMs } })),
  )

describe('forge worker', () => {
  it('shares the jobs of one database with others: each runs once, all have some', async () => {
    const workers = await Promise.all([worker(), worker(), worker()])
    const pids = new Set(workers.map(({ pid }) => pid))
    let added = 0
    // A process that waits for a processor may come too late for the first ones.
    do {
      await add(300, 20, added)
      added += 300
      await eventually(async () => (await count('forge_jobs')) === 0)
    } while (new Set(runs().map(({ pid }) => pid)).size < pids.size)
    const seen = runs()
    expect(seen.map(({ n }) => n).toSorted((a, b) => a - b)).toEqual(Array.from({ length: added }, (_, n) => n))
    expect(new Set(seen.map(({ pid }) => pid))).toEqual(pids)
    expect(await count('forge_jobs_done')).toBe(added)
  })

  it('at SIGTERM ends what runs, hands the rest back with its attempts, and exits with 0', async () => {
    const leaving = await worker()
    await add(200, 400)
    await eventually(() => runs().length >= 5)
    leaving.kill('SIGTERM')
    const [code] = (await once(leaving, 'exit')) as [number | null]
    expect(code).toBe(0)
    const begun = runs().length
    expect(await count('forge_jobs_done')).toBe(begun)
    expect((await jobs.stats())[0]!.counts).toMatchObject({ ready: 200 - begun, running: 0, retrying: 0 })
  })

  it('that is killed leaves its jobs to others within its lease and 3 s', async () => {
    const lease = { FORGE_JOBS_LEASE: '3s' }
    const victim = await worker(lease)
    await add(5, 30_000)
    await eventually(() => jobsBegunBy(victim) === 5)
    const heir = await worker(lease)
    const killedAt = performance.now()
    victim.kill('SIGKILL')
    await eventually(() => jobsBegunBy(heir) === 5)
    // And what a busy machine takes to let them.
    expect(performance.now() - killedAt).toBeLessThanOrEqual(3000 + 3000 + 10_000)
    const second = runs().filter(({ attempt }) => attempt === 2)
    expect(second.map(({ n }) => n).toSorted()).toEqual([0, 1, 2, 3, 4])
  })
})

describe('forge jobs', () => {
  interface Listed {
    readonly jobs: readonly { readonly id: number; readonly state: string }[]
  }
  const statesOf = async (...filter: string[]): Promise<string[]> =>
    (await told<Listed>('ls', ...filter)).jobs.map(({ state }) => state)

  it('shows, retries, redrives and cancels what a worker has left', async () => {
    const [{ id: first }, { id: second }] = [await jobs.enqueue(fail, { no: 1 }), await jobs.enqueue(fail, { no: 2 })]
    const { id: later } = await jobs.enqueue(work, { n: 7, tookMs: 0 }, { delayMs: 3_600_000 })
    const busy = await worker()
    await eventually(async () => (await count('forge_jobs_dead')) === 2)
    busy.kill('SIGTERM')
    await once(busy, 'exit')

    expect(await statesOf()).toEqual(['scheduled', 'dead', 'dead'])
    expect(await statesOf('--state', 'dead', '--kind', 'e2e.work')).toEqual([])
    expect(await told('show', String(first))).toMatchObject({
      id: first,
      state: 'dead',
      dead_reason: 'failed',
      payload: { no: 1 },
      last_error: 'Error: the printer is on fire',
    })
    expect(await told('stats')).toMatchObject({ queues: [{ queue: 'default', counts: { dead: 2, scheduled: 1 } }] })

    expect(await told('retry', String(first))).toMatchObject({ ok: true })
    expect(await told('redrive', '--kind', 'e2e.fail', '--dry-run')).toMatchObject({
      count: 1,
      sample: [{ id: second }],
    })
    expect(await told('redrive', '--kind', 'e2e.fail', '--per-second', '1')).toEqual({ ok: true, count: 1 })
    expect(await statesOf('--kind', 'e2e.fail')).toEqual(['ready', 'ready'])
    expect(await told('cancel', String(later))).toMatchObject({ outcome: 'cancelled' })
    const gone = await ask('jobs', 'show', '999999')
    expect([gone.code, gone.err]).toEqual([1, expect.stringContaining('There is no job 999999')])
  })

  it('asks a running job to end, and shows how far one is and what one has given', async () => {
    const { id } = await jobs.enqueue(work, { n: 1, tookMs: 60_000 })
    const { id: quick } = await jobs.enqueue(work, { n: 2, tookMs: 0 })
    const { pid } = await worker()
    await eventually(async () => (await count('forge_jobs_progress')) > 0 && (await count('forge_jobs_done')) === 1)
    expect(await told('show', String(quick))).toMatchObject({ state: 'done', output: { by: pid } })
    expect(await told('show', String(id))).toMatchObject({ state: 'running', progress: { begun: true } })
    expect(await told('cancel', String(id))).toMatchObject({ outcome: 'requested' })
    await eventually(async () => (await jobs.get(id!))?.state === 'cancelled')
  })

  it('pauses a queue for all processes, and a start does not set it going', async () => {
    await told('pause', 'default')
    await worker()
    await add(1, 0)
    expect(await told('stats')).toMatchObject({ queues: [{ paused: true, counts: { ready: 1 } }] })
    expect(runs()).toEqual([])
    await told('resume', 'default')
    await eventually(() => runs().length === 1)
  })

  it('lists schedules, tells their next runs, pauses, resumes and runs them', async () => {
    await worker()
    const schedules = async (): Promise<unknown> => (await told<{ schedules: unknown }>('schedules')).schedules
    expect(await schedules()).toMatchObject([
      { name: 'nightly', state: 'active', cron: '30 2 * * *', time_zone: 'Europe/Berlin', kind: 'e2e.nightly' },
    ])
    const { runs: planned } = await told<{ runs: { local: string }[] }>(
      'schedules',
      'preview',
      'nightly',
      '--limit',
      '3',
    )
    expect(planned.map(({ local }) => local.slice(10, 16))).toEqual(['T02:30', 'T02:30', 'T02:30'])
    expect(await told('schedules', 'pause', 'nightly')).toMatchObject({ ok: true, state: 'paused', next_at: null })
    const { job } = await told<{ job: number }>('schedules', 'run', 'nightly')
    await eventually(async () => (await jobs.get(job))?.output === 'slept')
    expect(await told('schedules', 'resume', 'nightly')).toMatchObject({ state: 'active' })
    const { code, err } = await ask('jobs', 'schedules', 'pause', 'weekly')
    expect([code, err]).toEqual([1, expect.stringContaining('weekly')])
  })
})
