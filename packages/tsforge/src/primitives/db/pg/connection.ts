import type { Client, Submittable } from 'pg'
import type { DbConnection, QueryResult, Statement } from '../driver.ts'
import { translate } from '../faults.ts'
import { Exchange, plan } from './exchange.ts'
import type { Plan } from './exchange.ts'
import type { Row } from './rows.ts'
import { Script } from './script.ts'
import { sessionOf } from './session.ts'
import type { Session } from './session.ts'
import type { StatementNames } from './statement-names.ts'
import type { Results, Settle } from './submitted.ts'

/** How statements are kept on the server; `undefined`: never. */
export interface Preparing {
  readonly names: StatementNames
  /** Most statements kept per connection; beyond it they are sent unnamed. */
  readonly limit: number
}

function rethrow(error: unknown): never {
  // Made here, in the caller's own promise chain, so that the stack leads to the caller.
  throw translate(error)
}

function planFor(session: Session, statement: Statement, preparing: Preparing | undefined): Plan {
  let name = preparing?.names.of(statement.text)
  if (name !== undefined && !session.prepared.has(name) && session.prepared.size >= preparing!.limit) name = undefined
  return plan(statement, name)
}

/** With `values` (even empty) one statement, kept prepared; without, a script that may hold several. */
export function submittable(
  client: Client,
  text: string,
  values: unknown[] | undefined,
  preparing: Preparing | undefined,
  settle: Settle,
): Submittable {
  const session = sessionOf(client)
  if (values === undefined) return new Script(session, text, settle) as unknown as Submittable
  return new Exchange(session, [planFor(session, { text, values }, preparing)], settle) as unknown as Submittable
}

/** Whether a transaction is open on the connection. */
export function leftOpen(client: Client): boolean {
  const status = (client as unknown as { getTransactionStatus(): string | null }).getTransactionStatus()
  return status === 'T' || status === 'E'
}

/** One client of `pg` for as long as somebody holds it. Statements asked for at once run one after the other. */
export class PgConnection implements DbConnection {
  readonly #client: Client
  readonly #giveBack: (broken: boolean) => void
  readonly #preparing: Preparing | undefined
  readonly #isFatal: (error: unknown) => boolean
  readonly #queue: Submittable[] = []
  #busy = false
  #lost = false
  #released = false

  /** `isFatal` hears each error and says whether the connection is of no more use. */
  constructor(
    client: Client,
    giveBack: (broken: boolean) => void,
    preparing: Preparing | undefined,
    isFatal: (error: unknown) => boolean,
  ) {
    this.#client = client
    this.#isFatal = isFatal
    this.#giveBack = giveBack
    this.#preparing = preparing
  }

  query<R = Row>(text: string, values?: unknown[]): Promise<QueryResult<R>> {
    return this.#run((settle) => submittable(this.#client, text, values, this.#preparing, settle)).then(
      first,
      rethrow,
    ) as Promise<QueryResult<R>>
  }

  pipeline(statements: readonly Statement[]): Promise<Results> {
    if (statements.length === 0) return Promise.resolve([])
    return this.#run((settle) => {
      const session = sessionOf(this.#client)
      const plans = statements.map((statement) => planFor(session, statement, this.#preparing))
      return new Exchange(session, plans, settle) as unknown as Submittable
    }).catch(rethrow)
  }

  release(broken = false): void {
    if (this.#released) return
    this.#released = true
    // A statement still under way, or a transaction left open, must not reach the next owner.
    this.#giveBack(broken || this.#lost || this.#busy || leftOpen(this.#client))
  }

  #run(make: (settle: Settle) => Submittable): Promise<Results> {
    return new Promise((resolve, reject) => {
      const item = make((error, results) => {
        if (error === undefined) resolve(results)
        else {
          if (this.#isFatal(translate(error))) this.#lost = true
          reject(error as Error)
        }
        const next = this.#queue.shift()
        if (next === undefined) this.#busy = false
        else this.#client.query(next)
      })
      if (this.#busy) this.#queue.push(item)
      else {
        this.#busy = true
        this.#client.query(item)
      }
    })
  }
}

function first(results: Results): QueryResult<Row> {
  return results[0]!
}
