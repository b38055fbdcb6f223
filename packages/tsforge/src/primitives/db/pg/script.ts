import type { FieldDef } from 'pg'
import type { QueryResult } from '../driver.ts'
import { complete, readRow, shapeOf } from './rows.ts'
import type { Row, Shape } from './rows.ts'
import type { Session, Wire } from './session.ts'
import { Submitted } from './submitted.ts'
import type { Results, Settle } from './submitted.ts'

/** A script of any number of statements without values, over the simple protocol. Its last result counts. */
export class Script extends Submitted {
  readonly #text: string
  #shape: Shape | undefined
  #rows: Row[] = []
  #last: QueryResult<Row> = { rows: [], rowCount: null }

  constructor(session: Session, text: string, settle: Settle) {
    super(session, settle)
    this.#text = text
  }

  submit(wire: Wire): Error | null {
    this.session.awaiting = this
    wire.query(this.#text)
    return null
  }

  handleRowDescription(message: { readonly fields: readonly FieldDef[] }): void {
    this.#shape = shapeOf(message.fields)
  }

  handleDataRow(message: { readonly fields: readonly (string | null)[] }): void {
    try {
      this.#rows.push(readRow(this.#shape!, message.fields))
    } catch (error) {
      this.failure ??= error
    }
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#last = complete(this.#rows, message.text)
    this.#rows = []
  }

  handleEmptyQuery(): void {}
  handleError(error: unknown): void {
    this.finish(error)
  }

  protected results(): Results {
    return [this.#last]
  }
}
