import type { QueryResult } from '../driver.ts'
import type { Row } from './rows.ts'
import type { Session, Wire } from './session.ts'

export type Results = QueryResult<Row>[]
export type Settle = (error: unknown, results: Results) => void

/** What all that is submitted to `pg` does alike: it settles once, frees its session, and refuses COPY. */
export abstract class Submitted {
  protected readonly session: Session
  protected failure: unknown
  readonly #settle: Settle
  #settled = false

  constructor(session: Session, settle: Settle) {
    this.session = session
    this.#settle = settle
  }

  protected abstract results(): Results

  protected finish(error: unknown): void {
    if (this.#settled) return
    this.#settled = true
    if (this.session.awaiting === this) this.session.awaiting = undefined
    this.#settle(error, this.results())
  }

  handleReadyForQuery(): void {
    this.finish(this.failure)
  }

  handlePortalSuspended(): void {}
  handleCopyInResponse(wire: Wire): void {
    wire.sendCopyFail('COPY FROM STDIN is not supported')
  }
  handleCopyData(): void {}
}
