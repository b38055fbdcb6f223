import type { FieldDef } from 'pg'
import type { QueryResult } from '../driver.ts'
import { complete, readRow, shapeOf } from './rows.ts'
import type { Settle } from './exchange.ts'
import type { Row, Shape } from './rows.ts'
import type { Session, Wire } from './session.ts'

/** A script of any number of statements without values, over the simple protocol. Its last result counts. */
export class Script {
  readonly #session: Session
  readonly #text: string
  readonly #settle: Settle
  #shape: Shape | undefined
  #rows: Row[] = []
  #last: QueryResult<Row> = { rows: [], rowCount: null }
  #failure: unknown
  #settled = false

  constructor(session: Session, text: string, settle: Settle) {
    this.#session = session
    this.#text = text
    this.#settle = settle
  }

  submit(wire: Wire): Error | null {
    this.#session.awaiting = this
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
      this.#failure ??= error
    }
  }

  handleCommandComplete(message: { readonly text: string }): void {
    this.#last = complete(this.#rows, message.text)
    this.#rows = []
  }

  handleEmptyQuery(): void {}
  handleReadyForQuery(): void {
    this.#finish(this.#failure)
  }
  handleError(error: unknown): void {
    this.#finish(error)
  }
  handlePortalSuspended(): void {}
  handleCopyInResponse(wire: Wire): void {
    wire.sendCopyFail('COPY FROM STDIN is not supported')
  }
  handleCopyData(): void {}

  #finish(error: unknown): void {
    if (this.#settled) return
    this.#settled = true
    if (this.#session.awaiting === this) this.#session.awaiting = undefined
    this.#settle(error, [this.#last])
  }
}
