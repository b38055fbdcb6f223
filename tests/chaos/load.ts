import { randomUUID } from 'node:crypto'
import type { Db } from 'tsforge/db'
import type { Product } from '../e2e/product.ts'

const ways = ['tx', 'pipeline', 'query'] as const

/** Codes with which a database that is away may be told; all of them are 503. */
const honest = /^(?:db\.(?:unavailable|commit_unknown|pool_exhausted|too_many_connections)|http\.overloaded)$/

export interface Load {
  /** Ids that were answered with 201. */
  readonly accepted: string[]
  /** How often each refusal was answered. */
  readonly refused: Map<string, number>
  /** Answers that nothing justifies, e.g. a 500, a 503 without Retry-After, a reset connection. */
  readonly faults: unknown[]
  stop(): Promise<void>
}

/** Writes entries until it is stopped. */
export function writing(product: Product, callers: number): Load {
  const accepted: string[] = []
  const refused = new Map<string, number>()
  const faults: unknown[] = []
  let stopped = false
  const call = async (caller: number): Promise<void> => {
    for (let turn = caller; !stopped; turn++) {
      const id = randomUUID()
      try {
        const { status, headers, body } = await product.ask('POST', '/entries', {
          body: { id, way: ways[turn % ways.length] },
        })
        const code = status === 201 ? '' : body.error.code
        if (status === 201) accepted.push(id)
        else if (status === 503 && honest.test(code) && (code === 'db.commit_unknown' || headers.has('retry-after')))
          refused.set(code, (refused.get(code) ?? 0) + 1)
        else faults.push({ status, code, retryAfter: headers.get('retry-after') })
      } catch (error) {
        faults.push(error)
        return
      }
    }
  }
  const done = Promise.all(Array.from({ length: callers }, (_, caller) => call(caller)))
  return { accepted, refused, faults, stop: () => ((stopped = true), done.then(() => undefined)) }
}

/** Which of `ids` are not in the database. */
export async function missing(db: Db, ids: readonly string[]): Promise<string[]> {
  const { rows } = await db.query<{ id: string }>(
    'select id from unnest($1::uuid[]) as asked (id) where not exists (select from entries e where e.id = asked.id)',
    [ids],
  )
  return rows.map(({ id }) => id)
}

/** Asks one address again and again; remembers every answer. */
export function polling(product: Product, path: string): { readonly statuses: number[]; stop(): Promise<void> } {
  const statuses: number[] = []
  let stopped = false
  const done = (async () => {
    while (!stopped)
      statuses.push(
        await product.ask('GET', path).then(
          ({ status }) => status,
          () => 0,
        ),
      )
  })()
  return { statuses, stop: () => ((stopped = true), done) }
}
