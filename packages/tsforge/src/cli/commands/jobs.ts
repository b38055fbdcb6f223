import type { App } from '../../host/app.ts'
import { jobFacts, queueFacts } from '../../primitives/jobs/facts.ts'
import type { JobId, JobRecord, Jobs, QueueStats } from '../../primitives/jobs/index.ts'
import { withApp } from '../app.ts'
import type { Command, Invocation } from '../command.ts'
import { UsageError } from '../command.ts'
import { filterOf, idOf, nameOf, printable, refuse, states, whole } from './jobs-input.ts'
import { schedules } from './jobs-schedules.ts'

type Verb = (jobs: Jobs, call: Invocation, app: App) => Promise<number | void>

export const jobs: Command = {
  usage: '[ls|show|retry|cancel|redrive|stats|pause|resume|schedules]',
  words: {
    ls: 'List jobs, newest first (the default)',
    show: { doc: 'Everything about one job, its payload and latest failure included', takes: ['<id>'] },
    retry: { doc: 'Run a dead job again from its first attempt, or a waiting one now', takes: ['<id>'] },
    cancel: { doc: 'End a job that waits, or ask one that runs to end', takes: ['<id>'] },
    redrive: 'Run dead jobs again, oldest first; which ones is said by a filter or --all',
    stats: 'How many jobs there are, by queue and state',
    pause: { doc: 'Claim no more jobs of a queue, in all processes', takes: ['<queue>'] },
    resume: { doc: 'Go on with a paused queue', takes: ['<queue>'] },
    schedules: {
      doc: 'What runs when: list (the default), preview, pause, resume, or run one now',
      takes: ['[list|preview|pause|resume|run]', '[name]'],
    },
  },
  flags: {
    queue: { type: 'string', value: '<name>', doc: 'Only of this queue' },
    kind: { type: 'string', value: '<kind>', doc: 'Only of this kind' },
    state: { type: 'string', value: '<state>', doc: 'Only in this state; several with commas' },
    tag: { type: 'string', value: '<tag>', doc: 'Only with this tag' },
    key: { type: 'string', value: '<key>', doc: 'Only with this key' },
    tenant: { type: 'string', value: '<uuid>', doc: 'Only of this tenant' },
    limit: {
      type: 'string',
      value: '<number>',
      doc: 'Most jobs: 1 to 1000 for ls (default 50), any for redrive (default all); most runs of a preview (default 10)',
    },
    before: { type: 'string', value: '<id>', doc: 'ls: only older ones than this job' },
    'per-second': { type: 'string', value: '<number>', doc: 'redrive: spread over time, so many a second' },
    all: { type: 'boolean', doc: 'redrive: every dead job' },
    'dry-run': { type: 'boolean', doc: 'redrive: only show what it would take' },
  },
  examples: [
    'forge jobs --state dead,retrying --kind mail.welcome',
    'forge jobs show 4711 --json',
    'forge jobs redrive --kind mail.welcome --dry-run',
    'forge jobs redrive --kind mail.welcome --per-second 20',
    'forge jobs stats',
    'forge jobs pause mail',
    'forge jobs schedules preview notes.purge --limit 3',
  ],
  async run(call) {
    const verb = verbs[(call.words[0] ?? 'ls') as keyof typeof verbs]
    // Whatever is wrong with what was asked is said before anything is opened.
    const work = verb(call)
    return withApp(call.cwd, async (app) => {
      const { jobsPort } = await import('../../primitives/jobs/index.ts')
      const queue = app.get(jobsPort)
      if (!queue.driver.capabilities.shared)
        throw new Error(`The ${queue.driver.name} driver keeps jobs in the process of the app; nobody else sees them.`)
      await app.db.start()
      return work(queue, call, app)
    })
  },
}

const verbs: Readonly<
  Record<
    'ls' | 'show' | 'retry' | 'cancel' | 'redrive' | 'stats' | 'pause' | 'resume' | 'schedules',
    (call: Invocation) => Verb
  >
> = {
  ls: ({ flags }) => {
    refuse(flags, 'ls', 'per-second', 'all', 'dry-run')
    const [filter, limit, before] = [filterOf(flags), whole(flags, 'limit', 1000) ?? 50, whole(flags, 'before')]
    return async (queue, { terminal }) => {
      const slice = await queue.list(filter, { limit, ...(before !== undefined && { after: [String(before)] }) })
      const next = slice.next?.[0] ?? null
      terminal.answer({ jobs: slice.items.map(brief), next_before: next }, () =>
        slice.items.length === 0 ? 'There are no such jobs.' : terminal.table([heads, ...slice.items.map(row)]),
      )
      if (next !== null && !terminal.json) terminal.note(`There are more: --before ${next}`)
    }
  },
  show: one('show', async (queue, id, { terminal }) => {
    const job = await queue.get(id)
    if (job === undefined) throw unknown(id)
    const { dedupeKey, timeoutMs, meta, payload, progress, output, error, worker } = job
    const rest = { dedupe_key: dedupeKey, timeout_ms: timeoutMs, worker, meta, payload, progress, output, error }
    const shown = { ...brief(job), ...rest }
    terminal.answer(shown, () =>
      terminal.table(
        Object.entries(shown).flatMap(([name, value]) =>
          value === undefined || value === null ? [] : [[name, plain(name, value)]],
        ),
      ),
    )
  }),
  retry: one('retry', async (queue, id, { terminal }) => {
    await queue.retry(id)
    terminal.answer({ ok: true, id }, () => `job ${id} runs again`)
  }),
  cancel: one('cancel', async (queue, id, { terminal }) => {
    const outcome = await queue.cancel(id)
    terminal.answer({ ok: true, id, outcome }, () =>
      outcome === 'cancelled' ? `job ${id} is cancelled` : `job ${id} runs, and has been asked to end`,
    )
  }),
  redrive: ({ flags }) => {
    refuse(flags, 'redrive', 'state', 'before')
    const filter = filterOf(flags)
    const [limit, perSecond] = [whole(flags, 'limit'), whole(flags, 'per-second', 1_000_000)]
    const dry = flags['dry-run'] === true
    const filtered = Object.keys(filter).length > 0
    if (!dry && filtered === (flags['all'] === true))
      throw new UsageError('Say which dead jobs: either filters such as --kind and --queue, or --all.')
    return async (queue, { terminal }) => {
      if (dry) {
        const { count, sample } = await queue.previewRedrive(filter)
        const would = Math.min(count, limit ?? count)
        terminal.answer({ dry_run: true, count: would, matching: count, sample: sample.map(brief) }, () =>
          [
            `${would} dead jobs would run again${count > 0 ? '; the newest that match:' : ''}`,
            ...(count > 0 ? [terminal.table([heads, ...sample.map(row)])] : []),
          ].join('\n'),
        )
        return
      }
      const count = await queue.redrive({ filter, limit, perSecond })
      terminal.answer({ ok: true, count }, () => `${count} dead jobs run again`)
    }
  },
  stats: ({ flags }) => {
    refuse(flags, 'stats', 'kind', 'state', 'tag', 'key', 'limit', 'before', 'per-second', 'all', 'dry-run')
    const { queue: name, tenantId } = filterOf(flags)
    return async (queue, { terminal }) => {
      const stats = await queue.stats(name, tenantId)
      terminal.answer({ queues: stats.map(queueFacts) }, () =>
        terminal.table([
          ['QUEUE', ...states.map((state) => state.toUpperCase()), 'OLDEST'],
          ...stats.map((each) => [
            named(each),
            ...states.map((state) => String(each.counts[state])),
            age(each.oldestMs),
          ]),
        ]),
      )
    }
  },
  pause: switched('pause', 'paused'),
  resume: switched('resume', 'resumed'),
  schedules,
}

const heads = ['ID', 'STATE', 'KIND', 'QUEUE', 'ATTEMPT', 'DUE', 'LAST ERROR']

function one(verb: string, act: (queue: Jobs, id: JobId, call: Invocation) => Promise<void>) {
  return ({ words, flags }: Invocation): Verb => {
    refuse(flags, verb, ...Object.keys(jobs.flags))
    const id = idOf(words[1] ?? '', 'A job')
    return (queue, call) => act(queue, id, call)
  }
}

function switched(verb: 'pause' | 'resume', told: string) {
  return ({ words, flags }: Invocation): Verb => {
    refuse(flags, verb, ...Object.keys(jobs.flags))
    const name = nameOf(words[1] ?? '', 'A queue')
    return async (queue, { terminal }) => {
      await queue[verb](name)
      terminal.answer({ ok: true, queue: name, paused: verb === 'pause' }, () => `${name} is ${told}`)
    }
  }
}

function unknown(id: JobId): Error {
  return new Error(`There is no job ${id}. Finished ones are forgotten with their day of history.`)
}

function brief(job: JobRecord): Readonly<Record<string, unknown>> {
  const { tenantId, error } = job
  return {
    ...jobFacts(job),
    tenant_id: tenantId ?? null,
    last_error: error === undefined ? null : `${error.name}: ${error.message}`,
  }
}

function row(job: JobRecord): readonly string[] {
  const { id, state, kind, queue, attempt, maxAttempts, runAt, error } = job
  return [
    String(id),
    state,
    kind,
    queue,
    `${attempt}/${maxAttempts}`,
    runAt.toISOString(),
    printable(error === undefined ? '' : `${error.name}: ${error.message}`)
      .replaceAll(/\s+/g, ' ')
      .slice(0, 80),
  ]
}

function plain(name: string, value: unknown): string {
  if (value instanceof Date) return value.toISOString()
  if (name === 'error') {
    const { name: kind, message, stack } = value as NonNullable<JobRecord['error']>
    return printable(stack ?? `${kind}: ${message}`)
  }
  return printable(typeof value === 'string' ? value : JSON.stringify(value))
}

function named({ queue, paused }: QueueStats): string {
  return paused ? `${queue} (paused)` : queue
}

function age(ms: number): string {
  if (ms < 1000) return ms === 0 ? '-' : '<1s'
  const s = Math.floor(ms / 1000)
  return s < 120 ? `${s}s` : s < 7200 ? `${Math.floor(s / 60)}m` : `${Math.floor(s / 3600)}h`
}
