import { createPostgresBackend, Queue, withBackend, Worker } from 'bullmq'
import type { Contestant, Ledger, Payload } from './contestant.ts'

/** What both backends have in common of a queue and a worker. */
interface Queueing {
  add(name: string, data: Payload): Promise<unknown>
  addBulk(jobs: { name: string; data: Payload }[]): Promise<unknown>
  getJobCounts(...types: ('active' | 'wait')[]): Promise<Record<string, number>>
  obliterate(options: { force: boolean }): Promise<unknown>
  close(): Promise<unknown>
}

interface Working {
  on(event: 'error', listener: () => void): unknown
  waitUntilReady(): Promise<unknown>
  close(): Promise<unknown>
}

const defaultJobOptions = { removeOnComplete: true }

export async function bullmqRedis(url: string): Promise<Contestant> {
  const { hostname: host, port } = new URL(url)
  const connection = { host, port: Number(port), maxRetriesPerRequest: null }
  const queue = new Queue<Payload>('mail', { connection, defaultJobOptions })
  return contestant('BullMQ', undefined, queue as unknown as Queueing, (ledger) => {
    const run = async ({ data }: { data: Payload }): Promise<void> => ledger.ran(data)
    return new Worker<Payload>('mail', run, { connection, concurrency: 300 }) as unknown as Working
  })
}

export async function bullmqPostgres(url: string): Promise<Contestant> {
  const classes = withBackend(createPostgresBackend)
  const connection = { connectionString: url, schema: 'bullmq', max: 12, migrate: true }
  const queue = new classes.Queue<Payload>('mail', { connection, defaultJobOptions })
  await queue.waitUntilReady()
  return contestant('BullMQ on PostgreSQL', 'bullmq', queue as unknown as Queueing, (ledger) => {
    const run = async ({ data }: { data: Payload }): Promise<void> => ledger.ran(data)
    return new classes.Worker<Payload>('mail', run, { connection, concurrency: 24 }) as unknown as Working
  })
}

function contestant(
  name: string,
  schema: string | undefined,
  queue: Queueing,
  worker: (ledger: Ledger) => Working,
): Contestant {
  return {
    name,
    schema,
    add: (data) => queue.add('mail', data),
    addMany: (payloads) => queue.addBulk(payloads.map((data) => ({ name: 'mail', data }))),
    work: async (ledger) => {
      const made = worker(ledger)
      made.on('error', () => {})
      await made.waitUntilReady()
      return () => made.close()
    },
    open: async () => {
      const { active = 0, wait = 0 } = await queue.getJobCounts('active', 'wait')
      return active + wait > 0
    },
    clear: () => queue.obliterate({ force: true }),
    close: () => queue.close(),
  }
}
