import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { systemClock } from 'tsforge/clock'
import type { Db } from 'tsforge/db'
import { createMigrator } from 'tsforge/db/migrate'
import { createJobs } from 'tsforge/jobs'
import type { Jobs, RunnerOptions } from 'tsforge/jobs'
import { postgres } from 'tsforge/jobs/postgres'
import { silentLog } from 'tsforge/log'
import { ledger } from './jobs-process.ts'
import type { Told } from './jobs-process.ts'

/** A process that runs jobs. */
export interface JobsProcess extends AsyncDisposable {
  readonly pid: number
  /** Of its connections. */
  readonly name: string
  /** Everything that it has told. */
  readonly told: readonly Told[]
  readonly alive: boolean
  kill(signal: NodeJS.Signals): void
  /** Lets jobs end that are held. */
  release(): void
  /** Its exit code, or the signal that ended it. */
  readonly exit: Promise<number | string>
}

export async function worker(url: string, name: string, options: RunnerOptions): Promise<JobsProcess> {
  const child: ChildProcess = fork(
    new URL('./jobs-process.ts', import.meta.url),
    [url, name, JSON.stringify(options)],
    {
      execArgv: ['--conditions=source'],
    },
  )
  const told: Told[] = []
  child.on('message', (message) => told.push(message as Told))
  const exit = new Promise<number | string>((done) =>
    child.once('exit', (code, signal) => done(code ?? signal ?? 'unknown')),
  )
  await once(child, 'message')
  return {
    pid: child.pid!,
    name,
    told,
    exit,
    get alive() {
      return child.exitCode === null && child.signalCode === null
    },
    kill: (signal) => void child.kill(signal),
    release: () => void child.send('release'),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exit
    },
  }
}

/** The tables of jobs and the ledger. */
export async function prepare(db: Db): Promise<Jobs> {
  const directory = join(dirname(fileURLToPath(import.meta.resolve('tsforge/jobs'))), 'migrations')
  const sources = [{ module: 'jobs', directory }]
  await createMigrator({ connect: () => db.connect(), sources, clock: systemClock, log: silentLog }).up()
  for (const statement of ledger.split(';')) await db.query(statement)
  const jobs = createJobs(postgres({ db }))
  await jobs.start()
  return jobs
}

/** Looks until it is so. Databases that are away for a moment are asked again. */
export async function until(what: string, so: () => boolean | Promise<boolean>, withinMs = 100_000): Promise<void> {
  const end = performance.now() + withinMs
  for (;;) {
    let failed: unknown
    try {
      if (await so()) return
    } catch (error) {
      failed = error
    }
    if (performance.now() > end) throw new Error(`after ${withinMs} ms it is still not so: ${what}`, { cause: failed })
    await sleep(20)
  }
}

export interface Fault {
  readonly what: string
  /** The process that it hit; absent: all of them. */
  readonly pid?: number
  readonly fromMs: number
  untilMs: number
}

/** Tells each time at which this process, and so the machine, has stood still for longer than `ms`. */
export function standstills(ms: number, tell: (fault: Fault) => void): Disposable {
  let lastMs = Date.now()
  const timer = setInterval(() => {
    const now = Date.now()
    if (now - lastMs > ms) tell({ what: 'the machine stood still', fromMs: lastMs, untilMs: now })
    lastMs = now
  }, 20)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}

/** The times at which this process has stood still or waited: its leases may have run out. */
export function stood({ pid, told }: Pick<JobsProcess, 'pid' | 'told'>): Fault[] {
  return told.flatMap((each) => ('stood' in each ? [{ what: 'stood still', pid, ...each.stood }] : []))
}

export interface Ran {
  readonly n: number
  readonly worker: number
  readonly atMs: number
}

/** Runs that nothing explains: of all runs of a job, one is due; each other needs a fault of its process around then. */
export function unexplained(runs: readonly Ran[], faults: readonly Fault[], slackMs: number): readonly Ran[] {
  const byJob = Map.groupBy(runs, ({ n }) => n)
  return [...byJob.values()].flatMap((same) => {
    const plain = same.filter(
      ({ worker: pid, atMs }) =>
        !faults.some(
          (fault) =>
            (fault.pid === undefined || fault.pid === pid) &&
            atMs >= fault.fromMs - slackMs &&
            atMs <= fault.untilMs + slackMs,
        ),
    )
    return same.length > 1 ? plain.slice(1) : []
  })
}
