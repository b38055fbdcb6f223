import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Clock } from '../../../../kernel/clock.ts'
import { systemClock } from '../../../../kernel/clock.ts'
import { silentLog } from '../../../../kernel/log.ts'
import type { MigrationSource } from '../../../../kernel/plugin.ts'
import { createMigrator } from '../index.ts'
import type { MigrationConnection, Migrator, MigratorOptions } from '../index.ts'
import { folderOf, scratchDatabase } from './scratch-database.ts'
import type { ScratchDatabase } from './scratch-database.ts'

let database: ScratchDatabase
let pool: pg.Pool
const folders: { remove(): void }[] = []

beforeAll(async () => {
  database = await scratchDatabase()
  pool = database.pool
})
beforeEach(async () => {
  await pool.query('drop schema if exists other cascade; drop schema public cascade; create schema public')
})
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove()
})
afterAll(() => database.drop())

/** Time that passes only by sleeping, which yields to real I/O. */
function turningClock(onSleep: (slept: number) => void | Promise<void> = () => {}): Clock {
  let now = 0
  let slept = 0
  return {
    ...systemClock,
    monotonic: () => now,
    async sleep(ms) {
      now += ms
      await onSleep(++slept)
    },
  }
}

function folder(files: Record<string, string>): ReturnType<typeof folderOf> {
  const made = folderOf(files)
  folders.push(made)
  return made
}

function source(module: string, files: Record<string, string>, after: string[] = []): MigrationSource {
  return { module, directory: folder(files).path, after }
}

function migrator(sources: MigrationSource[], options: Partial<MigratorOptions> = {}): Migrator {
  return createMigrator({
    connect: () => pool.connect(),
    sources,
    clock: turningClock(),
    log: silentLog,
    ...options,
  })
}

const ids = (report: { steps: readonly { id: string }[] }): string[] => report.steps.map(({ id }) => id)
const tables = async (): Promise<string[]> => {
  const { rows } = await pool.query<{ name: string }>(
    `select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1`,
  )
  return rows.map(({ name }) => name)
}
const notes = (): MigrationSource =>
  source('notes', {
    '0001_notes.up.sql':
      'create table notes (id int primary key);\ninsert into notes values (1); insert into notes values (2);',
    '0001_notes.down.sql': 'drop table notes;',
    '0002_title.up.sql': "alter table notes add title text not null default ';';",
    '0002_title.down.sql': 'alter table notes drop title;',
  })

describe('up', () => {
  it('applies several modules in the order of their dependencies, by file URL too', async () => {
    const users = source('users', { '0001_users.up.sql': 'create table users (id int primary key)' })
    const posts = source('posts', { '0001_posts.up.sql': 'create table posts (owner int references users)' }, ['users'])
    const report = await migrator([
      { ...posts, directory: new URL(`file://${posts.directory as string}/`) },
      users,
    ]).up()
    expect(ids(report)).toEqual(['users/0001_users', 'posts/0001_posts'])
    expect(await tables()).toEqual(['forge_migrations', 'posts', 'users'])
  })

  it('asks one question when there is nothing to do', async () => {
    const sources = [notes()]
    await migrator(sources).up()
    const asked: string[] = []
    const report = await migrator(sources, {
      async connect() {
        const client = await pool.connect()
        return {
          query: (text: string, values?: unknown[]) => (asked.push(text), client.query(text, values)),
          release: () => client.release(),
        } as MigrationConnection
      },
    }).up()
    expect(report.steps).toEqual([])
    expect(asked).toHaveLength(1)
  })

  it('stops at a target', async () => {
    const sources = [notes()]
    expect(ids(await migrator(sources).up({ to: 'notes/0001' }))).toEqual(['notes/0001_notes'])
    expect(ids(await migrator(sources).up())).toEqual(['notes/0002_title'])
    await expect(migrator(sources).up({ to: 'notes/0009' })).rejects.toMatchObject({
      code: 'db.migration_target_unknown',
    })
  })

  it('changes nothing in a dry run', async () => {
    expect(ids(await migrator([notes()]).up({ dryRun: true }))).toEqual(['notes/0001_notes', 'notes/0002_title'])
    expect(await tables()).toEqual([])
  })

  it('leaves nothing of a failed migration behind and names file, line and reason', async () => {
    const broken = source('broken', {
      '0001_ok.up.sql': 'create table kept ();',
      '0002_bad.up.sql': 'create table lost ();\n\ninsert into lost\n  values (nonsense);',
    })
    await expect(migrator([broken]).up()).rejects.toMatchObject({
      code: 'db.migration_failed',
      message: expect.stringMatching(
        /0002_bad\.up\.sql failed at line 4: column "nonsense" does not exist \(SQLSTATE 42703\)/,
      ),
    })
    expect(await tables()).toEqual(['forge_migrations', 'kept'])
  })

  it('refuses scripts that open or end transactions themselves', async () => {
    const sly = source('sly', { '0001_sly.up.sql': 'create table a ();\ncommit;\ncreate table b ();' })
    await expect(migrator([sly]).up()).rejects.toThrow('line 2')
    expect(await tables()).toEqual(['forge_migrations'])
  })

  it('names a fault that only COMMIT finds', async () => {
    const late = source('late', {
      '0001_late.up.sql': `create table a (id int primary key, b int references a deferrable initially deferred); insert into a values (1, 2)`,
    })
    await expect(migrator([late]).up()).rejects.toThrow(/0001_late\.up\.sql.*foreign key/)
  })

  it('is not led astray by a script that changes the search path', async () => {
    const dump = source('dump', {
      '0001_dump.up.sql': `select pg_catalog.set_config('search_path', '', false); create table public.a ();`,
      '0002_next.up.sql': 'create table b ();',
    })
    await migrator([dump]).up()
    expect(await tables()).toEqual(['a', 'b', 'forge_migrations'])
    expect((await pool.query('show search_path')).rows).toEqual([{ search_path: '"$user", public' }])
  })

  it('keeps a ledger of its own in each schema', async () => {
    const sources = [notes()]
    await migrator(sources).up()
    await pool.query('create schema other')
    const report = await migrator(sources, {
      async connect() {
        const client = await pool.connect()
        await client.query('set search_path = other, public')
        return {
          query: (text: string, values?: unknown[]) => client.query(text, values),
          release: () => client.release(true),
        } as MigrationConnection
      },
    }).up()
    expect(ids(report)).toEqual(['notes/0001_notes', 'notes/0002_title'])
  })
})

describe('several migrators at once', () => {
  it('lets one of two replicas apply while the other waits and finds nothing to do', async () => {
    const sources = [notes()]
    const holder = await pool.connect()
    await holder.query('select pg_advisory_lock(1718579815, 1)')
    // Both are seen waiting before either may begin.
    let waiting = 0
    const clock = (): Clock =>
      turningClock((slept) => {
        if (slept === 1 && ++waiting === 2) return holder.query('select pg_advisory_unlock_all()').then(() => undefined)
        return new Promise((resolve) => setImmediate(resolve))
      })
    const options = (): Partial<MigratorOptions> => ({ clock: clock(), waitMs: 3_600_000 })
    const reports = await Promise.all([migrator(sources, options()).up(), migrator(sources, options()).up()])
    holder.release()
    expect(reports.map(({ steps }) => steps.length).toSorted()).toEqual([0, 2])
    expect((await pool.query('select * from notes')).rowCount).toBe(2)
  })

  it('gives up waiting after the limit', async () => {
    const holder = await pool.connect()
    await holder.query('select pg_advisory_lock(1718579815, 1)')
    await expect(migrator([notes()], { waitMs: 1000 }).up()).rejects.toMatchObject({ code: 'db.migration_locked' })
    holder.release(true)
  })
})

describe('interruptions', () => {
  /** A session that was killed says so first and lets go of its lock a moment later. */
  const afterwards = { waitMs: 3_600_000 }

  it('starts again after a migrator was killed in the middle', async () => {
    const slow = folder({ '0001_slow.up.sql': `create table slow ();\nselect pg_terminate_backend(pg_backend_pid());` })
    const sources = [{ module: 'slow', directory: slow.path }]
    await expect(migrator(sources).up()).rejects.toMatchObject({ code: 'db.migration_failed' })
    expect(await tables()).toEqual(['forge_migrations'])
    slow.write('0001_slow.up.sql', 'create table slow ();')
    expect(ids(await migrator(sources, afterwards).up())).toEqual(['slow/0001_slow'])
  })

  it('runs a script outside of a transaction when it says so', async () => {
    const index = source('index', {
      '0001_t.up.sql': 'create table t (a int)',
      '0002_index.up.sql':
        '-- forge:no-transaction\ncreate index concurrently t_a on t (a);\ncreate index concurrently t_b on t (a);',
      '0002_index.down.sql': '-- forge:no-transaction\ndrop index concurrently t_a;\ndrop index concurrently t_b;',
    })
    await migrator([index]).up()
    expect((await pool.query(`select 1 from pg_indexes where tablename = 't'`)).rowCount).toBe(2)
    await migrator([index]).down()
    expect((await pool.query(`select 1 from pg_indexes where tablename = 't'`)).rowCount).toBe(0)
  })

  it('reports one that was interrupted outside of a transaction until somebody has settled it', async () => {
    const half = folder({
      '0001_half.up.sql':
        '-- forge:no-transaction\ncreate table half ();\nselect pg_terminate_backend(pg_backend_pid());',
    })
    const sources = [{ module: 'half', directory: half.path }]
    await expect(migrator(sources).up()).rejects.toMatchObject({ code: 'db.migration_failed' })
    await expect(migrator(sources, afterwards).up()).rejects.toMatchObject({ code: 'db.migration_interrupted' })
    expect(await migrator(sources).drift()).toMatchObject([{ kind: 'interrupted', id: 'half/0001_half' }])
    await migrator(sources).resolve('half/0001', 'applied')
    expect((await migrator(sources).up()).steps).toEqual([])
    await expect(migrator(sources).resolve('half/0001', 'pending')).rejects.toMatchObject({
      code: 'db.migration_target_unknown',
    })
  })
})

describe('locks and limits', () => {
  const busy = async (): Promise<{ sources: MigrationSource[]; holder: pg.PoolClient }> => {
    const all = notes()
    await migrator([all]).up({ to: 'notes/0001' })
    const holder = await pool.connect()
    await holder.query('begin')
    await holder.query('lock table notes')
    return { sources: [all], holder }
  }

  it('gives up on a locked table instead of queueing in front of everybody', async () => {
    const { sources, holder } = await busy()
    await expect(migrator(sources, { lockTimeoutMs: 20, lockAttempts: 2 }).up()).rejects.toMatchObject({
      code: 'db.migration_failed',
      message: expect.stringContaining('lock timeout (SQLSTATE 55P03)'),
    })
    holder.release(true)
  })

  it('comes back for the lock and gets it', async () => {
    const { sources, holder } = await busy()
    const clock = turningClock(async (slept) => {
      if (slept === 2) await holder.query('rollback')
    })
    expect(ids(await migrator(sources, { lockTimeoutMs: 20, clock }).up())).toEqual(['notes/0002_title'])
    holder.release()
  })

  it('bounds a statement, and lets a script ask for more', async () => {
    const files = { '0001_slow.up.sql': 'select pg_sleep(0.2)' }
    await expect(migrator([source('slow', files)], { statementTimeoutMs: 20 }).up()).rejects.toThrow(
      'statement timeout',
    )
    const patient = { '0001_slow.up.sql': '-- forge:statement-timeout 60s\nselect pg_sleep(0.05)' }
    expect(ids(await migrator([source('slow', patient)], { statementTimeoutMs: 20 }).up())).toEqual(['slow/0001_slow'])
  })

  it('gives the session back as it was', async () => {
    const session = await pool.connect()
    let released: boolean | undefined
    const connect = async (): Promise<MigrationConnection> =>
      ({
        query: (text: string, values?: unknown[]) => session.query(text, values),
        release: (broken = false) => void (released = broken),
      }) as MigrationConnection
    await migrator([notes()], { connect }).up()
    const { rows } = await session.query(
      `select current_setting('lock_timeout') l, current_setting('statement_timeout') s,
        (select count(*)::int from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()) locks`,
    )
    session.release(true)
    expect([released, rows]).toEqual([false, [{ l: '0', s: '0', locks: 0 }]])
  })
})

describe('down', () => {
  it('reverts one step, the newest', async () => {
    const sources = [notes()]
    await migrator(sources).up()
    expect(ids(await migrator(sources).down())).toEqual(['notes/0002_title'])
    expect(await tables()).toContain('notes')
    expect(ids(await migrator(sources).down())).toEqual(['notes/0001_notes'])
    expect(await tables()).toEqual(['forge_migrations'])
    expect((await migrator(sources).down()).steps).toEqual([])
  })

  it('goes up, down and up again', async () => {
    const sources = [notes()]
    await migrator(sources).up()
    expect(ids(await migrator(sources).down({ steps: 9 }))).toEqual(['notes/0002_title', 'notes/0001_notes'])
    expect(ids(await migrator(sources).up())).toHaveLength(2)
  })

  it('refuses all steps when one has no down script', async () => {
    const oneWay = source('one', {
      '0001_a.up.sql': 'create table a ()',
      '0002_b.up.sql': 'create table b ()',
      '0002_b.down.sql': 'drop table b',
    })
    await migrator([oneWay]).up()
    await expect(migrator([oneWay]).down({ steps: 2 })).rejects.toMatchObject({ code: 'db.migration_irreversible' })
    expect(await tables()).toContain('b')
  })

  it('refuses to revert what it has no files for', async () => {
    await migrator([notes()]).up()
    await expect(migrator([]).down()).rejects.toMatchObject({ code: 'db.migration_missing' })
  })
})

describe('drift', () => {
  const files = { '0001_a.up.sql': 'create table a ();\n', '0003_c.up.sql': 'create table c ();' }

  it('refuses an applied migration that was edited, but not one with other line ends', async () => {
    const edited = folder(files)
    const sources = [{ module: 'm', directory: edited.path }]
    await migrator(sources).up()
    edited.write('0001_a.up.sql', '\uFEFFcreate table a ();\r\n')
    expect((await migrator(sources).up()).steps).toEqual([])
    edited.write('0001_a.up.sql', 'create table a (b int);\n')
    await expect(migrator(sources).up()).rejects.toMatchObject({
      code: 'db.migration_edited',
      meta: { file: `${edited.path}/0001_a.up.sql` },
    })
    expect(await migrator(sources).drift()).toMatchObject([{ kind: 'edited', id: 'm/0001_a' }])
  })

  it('refuses a new migration behind an applied one', async () => {
    const merged = folder(files)
    const sources = [{ module: 'm', directory: merged.path }]
    await migrator(sources).up()
    merged.write('0002_b.up.sql', 'create table b ()')
    await expect(migrator(sources).up()).rejects.toMatchObject({ code: 'db.migration_out_of_order' })
  })

  it('reports what is applied but not known, and still starts an older release', async () => {
    await migrator([source('m', files), notes()]).up()
    const older = [source('m', { '0001_a.up.sql': files['0001_a.up.sql'] })]
    expect((await migrator(older).up()).steps).toEqual([])
    expect((await migrator(older).drift()).map(({ kind, id }) => `${kind} ${id}`)).toEqual([
      'missing m/0003_c',
      'unknown_module notes/0001_notes',
      'unknown_module notes/0002_title',
    ])
  })

  it('shows the state of every migration', async () => {
    const sources = [notes()]
    expect((await migrator(sources).status()).map(({ state }) => state)).toEqual(['pending', 'pending'])
    await migrator(sources, { appliedBy: 'deploy:1' }).up({ to: 'notes/0001' })
    expect(await migrator(sources).status()).toMatchObject([
      { id: 'notes/0001_notes', state: 'applied', appliedBy: 'deploy:1', appliedAt: expect.any(Date) },
      { id: 'notes/0002_title', state: 'pending', appliedAt: undefined },
    ])
  })

  it('refuses folders that cannot be right', async () => {
    const refused = async (name: Record<string, string>): Promise<void> =>
      expect(migrator([source('m', name)]).up()).rejects.toMatchObject({ code: 'db.migration_source_invalid' })
    await refused({ '1.sql': '' })
    await refused({ '0001_a.up.sql': '', '0001_b.up.sql': '' })
    await refused({ '0001_a.down.sql': '' })
    await expect(migrator([{ module: 'm', directory: '/nowhere/at/all' }]).up()).rejects.toThrow('/nowhere/at/all')
  })
})
