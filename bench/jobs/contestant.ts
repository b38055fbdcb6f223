/** What every job carries: about 150 bytes as JSON. */
export interface Payload {
  readonly n: number
  readonly to: string
  readonly subject: string
  readonly about: string
}

export function payload(n: number): Payload {
  return { n, to: `person${n}@example.com`, subject: 'Your order is on its way', about: 'x'.repeat(64) }
}

/** A queue under test, with its tables or keys to itself. */
export interface Contestant {
  readonly name: string
  /** Schema of its tables in PostgreSQL, if it has any. */
  readonly schema: string | undefined
  /** Adds one job, as an app does that awaits it. */
  add(payload: Payload): Promise<unknown>
  /** Adds many at once, by what the library has for that. */
  addMany(payloads: readonly Payload[]): Promise<unknown>
  /** Adds one job like `add`, from where no worker runs; absent: the same. */
  addElsewhere?(payload: Payload): Promise<unknown>
  /** Begins to run jobs; each run is told to `ledger`. Gives how to end that. */
  work(ledger: Ledger): Promise<() => Promise<unknown>>
  /** Whether there is a job whose end is not stored. */
  open(): Promise<boolean>
  /** Forgets all jobs. */
  clear(): Promise<unknown>
  close(): Promise<unknown>
}

/** Which jobs have run, and when. */
export class Ledger {
  #runs = new Uint8Array(0)
  #expected = 0
  #seen = 0
  #all = Promise.withResolvers<void>()
  /** When the first job began. */
  beganAt = 0
  /** When the latest job began. */
  lastAt = 0

  /** Begins anew. Resolves when as many have run. */
  expect(count: number): Promise<void> {
    this.#runs = new Uint8Array(count)
    this.#expected = count
    this.#seen = 0
    this.#all = Promise.withResolvers()
    return this.#all.promise
  }

  ran({ n }: Payload): void {
    this.lastAt = performance.now()
    if (this.#seen === 0) this.beganAt = this.lastAt
    this.#runs[n]!++
    if (++this.#seen === this.#expected) this.#all.resolve()
  }

  /** Throws unless every job ran exactly once. */
  check(name: string): void {
    const wrong = this.#runs.findIndex((runs) => runs !== 1)
    if (wrong >= 0) throw new Error(`${name}: job ${wrong} ran ${this.#runs[wrong]} times`)
  }
}
