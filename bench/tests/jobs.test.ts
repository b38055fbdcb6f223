import { describe, expect, it } from 'vitest'
import { Ledger, payload } from '../jobs/contestant.ts'
import type { Contestant } from '../jobs/contestant.ts'
import { bulk, drain } from '../jobs/measures.ts'

/** Runs what is added, each job as often as told. */
function queue(times: (n: number) => number): Contestant {
  const waiting: ReturnType<typeof payload>[] = []
  return {
    name: 'queue',
    schema: undefined,
    add: async (job) => waiting.push(job),
    addMany: async (jobs) => waiting.push(...jobs),
    work: async (ledger) => {
      for (const job of waiting.splice(0)) for (let time = 0; time < times(job.n); time++) ledger.ran(job)
      return async () => {}
    },
    open: async () => waiting.length > 0,
    clear: async () => {},
    close: async () => {},
  }
}

describe('the bench of jobs', () => {
  it('counts a queue that runs each job once', async () => {
    const good = queue(() => 1)
    await bulk(good, 100)
    expect((await drain(good, 100)).rate).toBeGreaterThan(0)
  })

  it('refuses one that runs some twice and others never', async () => {
    const bad = queue((n) => n % 3)
    await bulk(bad, 99)
    await expect(drain(bad, 99)).rejects.toThrow('queue: job 0 ran 0 times')
  })

  it('forgets the runs of the drain before', async () => {
    const ledger = new Ledger()
    const first = ledger.expect(1)
    ledger.ran(payload(0))
    await first
    ledger.check('queue')
    void ledger.expect(1)
    expect(() => ledger.check('queue')).toThrow('job 0 ran 0 times')
  })
})
