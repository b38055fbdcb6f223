import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import pg from 'pg'

/** The PostgreSQL under test, looked at from beside. */
export interface Watched {
  /** Processor time of the server so far in seconds; `undefined` where the system does not tell. */
  cpuSeconds(): number | undefined
  /** Row versions made dead so far, and bytes on disk, of the tables of a schema. */
  tables(schema: string): Promise<{ readonly dead: number; readonly bytes: number }>
  /** Keeps what exists now from being vacuumed until the returned function is called. */
  hold(): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** Refuses a server that forgets: what is compared is durable. */
export async function watch(url: string): Promise<Watched> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query(
    `select pg_backend_pid() as pid, current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit`,
  )
  const { pid, fsync, commit } = rows[0] as { pid: number; fsync: string; commit: string }
  if (fsync !== 'on' || commit !== 'on') throw new Error('the bench of jobs needs fsync and synchronous_commit on')
  const postmaster = parentOf(pid)
  return {
    cpuSeconds: () => (postmaster === undefined ? undefined : treeCpu(postmaster)),
    tables: async (schema) => {
      const found = await client.query(
        `select coalesce(sum(n_tup_upd + n_tup_del), 0)::float8 as dead,
           coalesce(sum(pg_total_relation_size(relid)), 0)::float8 as bytes
         from pg_stat_user_tables where schemaname = $1`,
        [schema],
      )
      return found.rows[0] as { dead: number; bytes: number }
    },
    hold: async () => {
      const holder = new pg.Client({ connectionString: url })
      await holder.connect()
      await holder.query('begin isolation level repeatable read')
      await holder.query('select txid_current()')
      return () => holder.end()
    },
    close: () => client.end(),
  }
}

/** Fields after the name of proc(5)'s `stat`, which may hold anything; the first is the state. */
function stat(pid: number): readonly string[] {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  return text.slice(text.lastIndexOf(')') + 2).split(' ')
}

/** The parent, if that backend runs on this machine. */
function parentOf(pid: number): number | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('postgres') ? Number(stat(pid)[1]) : undefined
  } catch {
    return undefined
  }
}

const ticks = ((): number => {
  try {
    return Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
  } catch {
    return 100
  }
})()

function treeCpu(postmaster: number): number {
  // utime, stime, and the same of children that have ended.
  let sum = cpu(stat(postmaster), 4)
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const fields = stat(Number(entry))
      if (Number(fields[1]) === postmaster) sum += cpu(fields, 2)
    } catch {
      // It has just ended.
    }
  }
  return sum / ticks
}

function cpu(fields: readonly string[], count: number): number {
  return fields.slice(11, 11 + count).reduce((sum, field) => sum + Number(field), 0)
}
