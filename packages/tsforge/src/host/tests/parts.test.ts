import { describe, expect, it } from 'vitest'
import { defineFeature } from '../../http/feature.ts'
import type { Feature } from '../../http/feature.ts'
import { silentLog } from '../../kernel/log.ts'
import { createMetrics } from '../../kernel/metrics.ts'
import { port } from '../../kernel/plugin.ts'
import type { Plugin, Port, Ports } from '../../kernel/plugin.ts'
import { createSecrets } from '../../kernel/secrets.ts'
import { createFakeClock } from '../../testing/clock.ts'
import { setUp } from '../parts.ts'
import type { Parts, Tools } from '../parts.ts'

const clock = createFakeClock()
const tools: Tools = {
  app: { name: 'app', version: '1.0.0', environment: 'test', root: '/' },
  clock,
  log: silentLog,
  metrics: createMetrics(),
  secrets: createSecrets({ current: 'a secret for this test alone' }),
  permissions: {},
}
const db: Port<string> = port('db')
const cache: Port<string> = port('cache')

function setUpAll(features: readonly Feature[], options: Readonly<Record<string, unknown>> = {}): Promise<Parts> {
  return setUp({ features, options, tools, stopTimeoutMs: 10_000 })
}

/** A feature that writes down what happens to it. */
function recorder(journal: string[], name: string, more: Partial<Plugin<object, Ports, string>> = {}): Feature {
  return defineFeature<object, Ports, string>({
    name,
    setup: () => (journal.push(`setup ${name}`), name),
    start: () => void journal.push(`start ${name}`),
    drain: () => void journal.push(`drain ${name}`),
    stop: () => void journal.push(`stop ${name}`),
    ...more,
  })
}

describe('the life of the parts', () => {
  it('hands each part the services and options that it asked for', async () => {
    const seen: unknown[] = []
    const notes = recorder([], 'notes', {
      needs: { database: db },
      setup: ({ database, options, app }: Record<string, unknown>) => (seen.push(database, options, app), 'notes'),
    })
    const { services } = await setUpAll([recorder([], 'pg', { provides: db }), notes], { notes: { pageSize: 20 } })
    expect(seen).toEqual(['pg', { pageSize: 20 }, tools.app])
    expect([...services.values()]).toEqual(['pg', 'notes'])
  })

  it('starts the database and what it needs, migrates, starts the rest; drains all, then stops all, in reverse', async () => {
    const journal: string[] = []
    const pg = recorder(journal, 'pg', { provides: db, needs: { cache } })
    const parts = await setUpAll([
      recorder(journal, 'mail'),
      recorder(journal, 'redis', { provides: cache }),
      pg,
      recorder(journal, 'notes', { needs: { db } }),
    ])
    await parts.start('db', async () => void journal.push('migrate'))
    await parts.stop()
    expect(journal).toEqual([
      'setup mail',
      'setup redis',
      'setup pg',
      'setup notes',
      'start redis',
      'start pg',
      'migrate',
      'start mail',
      'start notes',
      'drain notes',
      'drain mail',
      'drain pg',
      'drain redis',
      'stop notes',
      'stop pg',
      'stop redis',
      'stop mail',
    ])
  })

  it('starts workers when told, with what all parts declare, and ends them before any part drains', async () => {
    const journal: string[] = []
    const send = { job: { kind: 'mail.send' }, run: () => {} }
    const daily = { name: 'daily', kind: 'mail.send' }
    const queue = recorder(journal, 'queue', {
      worker: {
        declare: (service, { jobs, schedules }) => {
          journal.push(
            `${service} has ${jobs.map(({ job }) => job.kind).join()} and ${schedules.map(({ name }) => name).join()}`,
          )
        },
        start: () => void journal.push('work'),
        drain: () => void journal.push('finish'),
        stop: () => void journal.push('give up'),
      },
    })
    const parts = await setUpAll([queue, recorder(journal, 'mail', { jobs: () => [send], schedules: () => [daily] })])
    await parts.start('db', async () => {})
    await parts.work()
    await parts.rest()
    await parts.stop()
    expect(journal).toEqual([
      'setup queue',
      'setup mail',
      'queue has mail.send and daily',
      'start queue',
      'start mail',
      'work',
      'finish',
      'give up',
      'drain mail',
      'drain queue',
      'stop mail',
      'stop queue',
    ])
  })

  it('stops what was set up when a worker refuses what the parts declare', async () => {
    const journal: string[] = []
    const queue = recorder(journal, 'queue', {
      worker: {
        declare: () => {
          throw new Error('two handlers')
        },
        start: () => {},
        drain: () => {},
        stop: () => {},
      },
    })
    await expect(setUpAll([queue])).rejects.toMatchObject({
      code: 'boot.setup_failed',
      message: 'Setting up "queue" failed: two handlers',
    })
    expect(journal).toEqual(['setup queue', 'stop queue'])
  })

  it('tells a part that is still starting that the app is to stop', async () => {
    let told: AbortSignal | undefined
    const begun = Promise.withResolvers<void>()
    const slow = recorder([], 'slow', {
      start: (_service, signal) =>
        new Promise((resolve) => {
          told = signal
          begun.resolve()
          signal.addEventListener('abort', () => resolve())
        }),
    })
    const parts = await setUpAll([slow])
    const starting = parts.start('db', async () => {})
    await begun.promise
    await parts.stop()
    await expect(starting).rejects.toMatchObject({ code: 'lifecycle.stopping' })
    expect(told?.aborted).toBe(true)
  })

  it('stops what was set up and never started', async () => {
    const journal: string[] = []
    await (await setUpAll([recorder(journal, 'pg')])).stop()
    expect(journal).toEqual(['setup pg', 'stop pg'])
  })

  it('stops what was set up when a later part fails, and says which one failed and why', async () => {
    const journal: string[] = []
    const bad = recorder(journal, 'bad', {
      setup: () => {
        throw new Error('no such host')
      },
    })
    await expect(setUpAll([recorder(journal, 'pg'), bad])).rejects.toMatchObject({
      code: 'boot.setup_failed',
      message: 'Setting up "bad" failed: no such host',
    })
    expect(journal).toEqual(['setup pg', 'stop pg'])
  })

  it('gives every part its turn when one fails to stop, and reports the failure', async () => {
    const journal: string[] = []
    const bad = recorder(journal, 'bad', { stop: () => Promise.reject(new Error('socket stuck')) })
    const parts = await setUpAll([recorder(journal, 'first'), bad, recorder(journal, 'last')])
    await expect(parts.stop()).rejects.toThrow('bad: stop failed')
    expect(journal.filter((line) => line.startsWith('stop'))).toEqual(['stop last', 'stop first'])
  })

  it('aborts a part that never finishes draining, and goes on', async () => {
    const journal: string[] = []
    let told: AbortSignal | undefined
    const stuck = recorder(journal, 'stuck', { drain: (_service, signal) => ((told = signal), new Promise(() => {})) })
    const parts = await setUpAll([recorder(journal, 'first'), stuck])
    await parts.start('db', async () => {})
    const [stopped] = await Promise.allSettled([parts.stop(), clock.advance(10_000)])
    expect(stopped).toMatchObject({ reason: { message: expect.stringContaining('stuck: drain took too long') } })
    expect(told?.aborted).toBe(true)
    expect(journal).toContain('stop stuck')
    expect(journal).toContain('stop first')
  })
})
