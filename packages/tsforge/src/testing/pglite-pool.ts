import type { PGlite } from '@electric-sql/pglite'

/** An engine takes seconds to come up, so that a worker keeps those which its tests have given back. */
const idle: PGlite[] = []

export interface Borrowed extends AsyncDisposable {
  readonly pglite: PGlite
}

/** An empty database in this process. */
export async function borrowPglite(): Promise<Borrowed> {
  const pglite = idle.pop() ?? (await create())
  await pglite.exec(wipe)
  return {
    pglite,
    [Symbol.asyncDispose]: async () => {
      // Whatever a failed test left open.
      await pglite.exec('rollback')
      idle.push(pglite)
    },
  }
}

async function create(): Promise<PGlite> {
  const { PGlite } = await import('@electric-sql/pglite')
  return PGlite.create()
}

const wipe = `
  unlisten *; deallocate all; reset all;
  do $$ declare name text; begin
    for name in select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' loop
      execute format('drop schema %I cascade', name);
    end loop;
    create schema public;
  end $$;`
