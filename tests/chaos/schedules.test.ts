import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from 'tsforge/clock'
import type { Db } from 'tsforge/db'
import { createMigrator } from 'tsforge/db/migrate'
import { silentLog } from 'tsforge/log'
import { anyDatabase, witness } from './arena.ts'
import type { Said } from './schedules-process.ts'

interface Process {
  readonly child: ChildProcess
  /** Resolves when it has added a tick from now on. */
  ticks(): Promise<void>
}

const children: ChildProcess[] = []
afterEach(() => Promise.all(children.splice(0).map(kill)))

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = new Promise((done) => child.once('exit', done))
  child.kill('SIGKILL')
  await gone
}

/** Whoever has added the latest tick. */
let leader: Process | undefined

async function scheduler(url: string, skewMs: number): Promise<Process> {
  const skew = new URL('./skew.ts', import.meta.url).href
  const child = fork(new URL('./schedules-process.ts', import.meta.url), [url], {
    execArgv: ['--conditions=source', '--import', skew],
    env: { ...process.env, CLOCK_SKEW_MS: String(skewMs) },
  })
  children.push(child)
  const waiting = new Set<() => void>()
  const own: Process = { child, ticks: () => new Promise((done) => waiting.add(done)) }
  await new Promise<void>((ready, fail) => {
    child.once('exit', (code, signal) => fail(new Error(`the process ended: ${code ?? signal}`)))
    child.on('message', (said: Said) => {
      if (said.say === 'ready') return ready()
      leader = own
      for (const done of waiting) done()
      waiting.clear()
    })
  })
  return own
}

/** What is wrong with the ticks of each schedule: second by second, each once. */
async function faults(db: Db): Promise<string[]> {
  const { rows } = await db.query<{ name: string; ticks: Date[]; next: Date }>(
    `select s.name, s.next_at as next,
       (select array_agg(j.run_at order by j.run_at) from forge_jobs j where j.tags @> array['schedule:' || s.name]) as ticks
     from forge_jobs_schedules s order by s.name`,
    [],
  )
  expect(rows).toHaveLength(5)
  return rows.flatMap(({ name, ticks, next }) => {
    expect(ticks.length).toBeGreaterThan(10)
    return [...ticks, next].flatMap((at, i, all) => {
      const gapMs = i === 0 ? 1000 : at.getTime() - all[i - 1]!.getTime()
      return gapMs === 1000 ? [] : [`${name}: ${gapMs} ms before ${at.toISOString()}`]
    })
  })
}

describe('two processes with schedules of every second', () => {
  it('add each tick once, although the one that ticks is killed again and again, freezes, and clocks are hours apart', async () => {
    await using database = await anyDatabase()
    await using db = witness(database.url)
    const directory = join(dirname(fileURLToPath(import.meta.resolve('tsforge/jobs'))), 'migrations')
    const sources = [{ module: 'jobs', directory }]
    await createMigrator({ connect: () => db.connect(), sources, clock: systemClock, log: silentLog }).up()

    let pair = await Promise.all([scheduler(database.url, -7_200_000), scheduler(database.url, 7_200_000)])
    const others = (): Process[] => pair.filter((each) => each !== leader)
    const anyTick = (): Promise<void> => Promise.race(pair.map((each) => each.ticks()))
    await anyTick()
    for (let round = 0; round < 4; round++) {
      // At any moment of its second.
      for (let i = 0; i < 2; i++) await anyTick()
      await new Promise((done) => setTimeout(done, 230 * round))
      const heir = others()[0]!
      const killed = leader!
      const inherited = heir.ticks()
      await kill(killed.child)
      await inherited
      pair = [heir, await scheduler(database.url, round * 3_600_000)]
    }
    const frozen = leader!
    const taken = others()[0]!.ticks()
    frozen.child.kill('SIGSTOP')
    await taken
    frozen.child.kill('SIGCONT')
    for (let i = 0; i < 3; i++) await anyTick()
    await Promise.all(pair.map(({ child }) => kill(child)))
    expect(await faults(db)).toEqual([])
  }, 240_000)
})
