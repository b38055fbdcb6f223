export interface RunnerStatus {
  readonly state: 'new' | 'running' | 'draining' | 'stopped'
  /** Handlers at work. */
  readonly running: number
  /** Claimed and not started. */
  readonly stock: number
  /** Ends of runs that are not stored yet. */
  readonly unreported: number
  /** The store has not answered the latest statement. */
  readonly failing: boolean
}

export interface Runner {
  readonly worker: string
  readonly status: RunnerStatus
  /** Begins to claim and run jobs. The store may be away: it is tried until it answers. Never throws. */
  start(): void
  /**
   * Claims no more, hands back at once what has not started, and waits for what runs: until it is done, `graceMs` have
   * passed or the signal is aborted. Never rejects.
   */
  drain(signal?: AbortSignal): Promise<void>
  /** Aborts what still runs, hands it back and leaves. Never rejects; bounded by seconds. */
  stop(): Promise<void>
  /**
   * Runs everything that is due, and what that adds, until nothing is; gives how many runs there were. For tests
   * and commands, in place of `start`: no timer is needed, whatever the clock. Rejects when the store does.
   */
  runUntilIdle(): Promise<number>
}
