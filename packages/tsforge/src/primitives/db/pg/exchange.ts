import type { FieldDef } from 'pg'
import { prepareValue } from './prepare-value.ts'
import type { Statement } from '../driver.ts'
import { isStalePlan } from '../faults.ts'
import { complete, readRow, shapeOf } from './rows.ts'
import type { Row, Shape } from './rows.ts'
import type { Session, Wire } from './session.ts'
import { Submitted } from './submitted.ts'
import type { Results, Settle } from './submitted.ts'

/** Statements of one exchange with the names under which they may be kept (`undefined`: not kept). */
export interface Plan {
  readonly text: string
  readonly values: readonly unknown[]
  readonly name: string | undefined
}

/**
 * Encodes values before anything is sent: a value that cannot be encoded must fail the whole list, not leave
 * its first half on the wire.
 */
export function plan(statement: Statement, name: string | undefined): Plan {
  return {
    text: statement.text,
    values: statement.values === undefined ? [] : statement.values.map(prepareValue),
    name,
  }
}

/**
 * Statements sent in one flush and closed by one Sync, in the shape that `pg` calls a submittable. The server runs
 * them as one implicit transaction: after a failure it skips to the Sync and takes everything back
 * (PostgreSQL documentation, "Extended Query, Pipelining"). Row descriptions of kept statements are asked for once.
 */
export class Exchange extends Submitted {
  readonly #plans: readonly Plan[]
  readonly #results: Results = []
  #shape: Shape | null | undefined
  #rows: Row[] = []

  constructor(session: Session, plans: readonly Plan[], settle: Settle) {
    super(session, settle)
    this.#plans = plans
  }

  submit(wire: Wire): Error | null {
    wire.stream.cork?.()
    try {
      for (const item of this.#plans) this.#send(wire, item)
      wire.sync()
    } finally {
      wire.stream.uncork?.()
    }
    this.session.awaiting = this
    this.#begin()
    return null
  }

  #send(wire: Wire, { text, values, name }: Plan): void {
    const { prepared, doubtful, parsing } = this.session
    const statement = name ?? ''
    const ready = name !== undefined && (prepared.has(name) || parsing.includes(name))
    if (!ready) {
      // Closing what the server does not know is no error.
      if (name !== undefined && doubtful.delete(name)) wire.close({ type: 'S', name })
      wire.parse({ name: statement, text, types: [] })
      parsing.push(name)
    }
    wire.bind({ portal: '', statement, values, binary: false })
    if (name === undefined || prepared.get(name) === undefined) wire.describe({ type: 'P', name: '' })
    wire.execute({ portal: '', rows: 0 })
  }

  /** Prepares for the answers of the next statement. */
  #begin(): void {
    const name = this.#plans[this.#results.length]?.name
    this.#shape = name === undefined ? undefined : this.session.prepared.get(name)
    this.#rows = []
  }

  handleRowDescription(message: { readonly fields: readonly FieldDef[] }): void {
    this.#shape = shapeOf(message.fields)
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    if (this.failure !== undefined) return
    try {
      this.#rows.push(readRow(this.#shape!, message.fields))
    } catch (error) {
      this.failure = error
    }
  }

  handleCommandComplete(message: { readonly text: string }): void {
    const name = this.#plans[this.#results.length]?.name
    if (name !== undefined && this.session.prepared.get(name) === undefined)
      this.session.prepared.set(name, this.#shape ?? null)
    this.#results.push(complete(this.#rows, message.text))
    this.#begin()
  }

  handleEmptyQuery(): void {
    this.#results.push({ rows: [], rowCount: null })
    this.#begin()
  }

  /** From the server (it will still say "ready"), or from the connection (it will not). */
  handleError(error: unknown): void {
    this.session.abandonParsing()
    if (isStalePlan(error)) this.session.forgetAll()
    this.finish(this.failure ?? error)
  }

  protected results(): Results {
    return this.#results
  }
}
