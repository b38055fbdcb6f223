import type { Command, Invocation } from '../command.ts'
import { UsageError } from '../command.ts'
import { withApp } from '../app.ts'
import type { MigrationReport, Migrator } from '../../primitives/db/migrate/index.ts'

export const migrate: Command = {
  usage: '[up|down|status|drift|resolve]',
  words: {
    up: 'Apply what is pending (the default)',
    down: 'Revert the newest migration',
    status: 'Show every migration and its state',
    drift: 'Show where the files and the database disagree; exit code 1 when they do',
    resolve: {
      doc: 'Declare a migration that was interrupted outside of a transaction',
      takes: ['<module/NNNN>', '<applied|pending>'],
    },
  },
  flags: {
    'dry-run': { type: 'boolean', doc: 'Show what up or down would do' },
    steps: { type: 'string', value: '<number>', doc: 'How many migrations down reverts (default 1)' },
    to: { type: 'string', value: '<module/NNNN>', doc: 'The last migration that up applies' },
  },
  examples: [
    'forge migrate',
    'forge migrate up --dry-run',
    'forge migrate down --steps 2',
    'forge migrate status --json',
    'forge migrate resolve notes/0002 pending',
  ],
  async run(call) {
    const verb = (call.words[0] ?? 'up') as keyof typeof verbs
    return withApp(call.cwd, async (app) => {
      const { migratorOf } = await import('../../host/migrations.ts')
      return verbs[verb](migratorOf(app), call)
    })
  },
}

const verbs = { up, down, status, drift, resolve }

async function up(migrator: Migrator, { flags, terminal }: Invocation): Promise<number> {
  const { to } = flags
  const report = await migrator.up({ dryRun: flags['dry-run'] === true, ...(typeof to === 'string' && { to }) })
  terminal.answer(report, () => told(report, 'applied', 'would be applied', 'Nothing is pending.'))
  return 0
}

async function down(migrator: Migrator, { flags, terminal }: Invocation): Promise<number> {
  const steps = flags['steps'] === undefined ? 1 : Number(flags['steps'])
  if (!Number.isInteger(steps) || steps < 1) throw new UsageError('--steps needs a whole number from 1.')
  const report = await migrator.down({ steps, dryRun: flags['dry-run'] === true })
  terminal.answer(report, () => told(report, 'reverted', 'would be reverted', 'Nothing is applied.'))
  return 0
}

async function status(migrator: Migrator, { terminal }: Invocation): Promise<number> {
  const migrations = await migrator.status()
  terminal.answer({ migrations }, () =>
    terminal.table(migrations.map(({ id, state, appliedAt }) => [state, id, appliedAt?.toISOString() ?? ''])),
  )
  return 0
}

async function drift(migrator: Migrator, { terminal }: Invocation): Promise<number> {
  const found = await migrator.drift()
  terminal.answer({ ok: found.length === 0, drift: found }, () =>
    found.length === 0 ? 'Files and database agree.' : terminal.table(found.map(({ kind, id }) => [kind, id])),
  )
  return found.length === 0 ? 0 : 1
}

async function resolve(migrator: Migrator, { words, terminal }: Invocation): Promise<number> {
  const [, id = '', state] = words
  if (state !== 'applied' && state !== 'pending') throw new UsageError('A migration is resolved as applied or pending.')
  await migrator.resolve(id, state)
  terminal.answer({ ok: true, id, state }, () => `${id} counts as ${state} now`)
  return 0
}

function told(report: MigrationReport, done: string, wouldBe: string, nothing: string): string {
  if (report.steps.length === 0) return nothing
  return report.steps
    .map(({ id, durationMs }) => (report.dryRun ? `${wouldBe}: ${id}` : `${done}: ${id} (${durationMs} ms)`))
    .join('\n')
}
