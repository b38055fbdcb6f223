import type { Tx } from '../../db/index.ts'

/** A transaction without a database: what is to happen behind its commit, happens if it commits. */
export async function inMemory<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
  const hooks: (() => void)[] = []
  const value = await work(txOver(hooks))
  for (const hook of hooks) hook()
  return value
}

function txOver(hooks: (() => void)[]): Tx {
  return {
    query: async () => ({ rows: [], rowCount: 0 }),
    pipeline: async () => [],
    afterCommit: (hook) => void hooks.push(hook),
    async savepoint(work) {
      const inner: (() => void)[] = []
      const value = await work(txOver(inner))
      hooks.push(...inner)
      return value
    },
  }
}
