import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../statistics.ts'
import { Ledger, payload } from './contestant.ts'
import type { Contestant } from './contestant.ts'

/** What one call to a library adds at most. */
const chunk = 5000

/** Adds per second, awaited one by one in each of `lanes`. */
export async function adds(contestant: Contestant, count: number, lanes: number): Promise<number> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < count) await contestant.add(payload(next++))
  }
  const begun = performance.now()
  await Promise.all(Array.from({ length: lanes }, lane))
  return (count * 1000) / (performance.now() - begun)
}

/** Adds `count` in bulk; jobs per second. */
export async function bulk({ addMany }: Contestant, count: number): Promise<number> {
  const payloads = Array.from({ length: count }, (_, n) => payload(n))
  const begun = performance.now()
  for (let from = 0; from < count; from += chunk) await addMany(payloads.slice(from, from + chunk))
  return (count * 1000) / (performance.now() - begun)
}

export interface Drained {
  /** Jobs per second, from the first that begins to the last whose end is stored. */
  readonly rate: number
  /** Seconds of processor time of this process and of the server, per 1000 jobs. */
  readonly cpu: number | undefined
}

/** Runs `count` jobs that wait; each must run once. */
export async function drain(
  contestant: Contestant,
  count: number,
  serverCpu: () => number | undefined = () => undefined,
): Promise<Drained> {
  const ledger = new Ledger()
  const all = ledger.expect(count)
  const [server, client] = [serverCpu(), process.cpuUsage()]
  const stop = await contestant.work(ledger)
  await within(all, contestant.name)
  while (await contestant.open()) await sleep(1)
  const seconds = (performance.now() - ledger.beganAt) / 1000
  const used = process.cpuUsage(client)
  const after = serverCpu()
  await stop()
  ledger.check(contestant.name)
  const cpu =
    server === undefined || after === undefined
      ? undefined
      : (((used.user + used.system) / 1e6 + after - server) * 1000) / count
  return { rate: count / seconds, cpu }
}

/** Milliseconds from the call that adds a job to its handler, of a worker that has nothing to do. */
export async function idle(contestant: Contestant, count: number, elsewhere: boolean): Promise<number> {
  const { name, add, addElsewhere = add } = contestant
  const ledger = new Ledger()
  let ran = ledger.expect(1)
  const stop = await contestant.work(ledger)
  const took: number[] = []
  for (let sample = -10; sample < count; sample++) {
    // It has become idle, and its timers do not beat in our time.
    await sleep(5 + 10 * Math.random())
    const begun = performance.now()
    await (elsewhere ? addElsewhere : add)(payload(0))
    await within(ran, name)
    if (sample >= 0) took.push(ledger.lastAt - begun)
    ran = ledger.expect(1)
  }
  await stop()
  return median(took)
}

async function within(all: Promise<void>, name: string): Promise<void> {
  const late = AbortSignal.timeout(120_000)
  const failed = new Promise<never>((_, reject) =>
    late.addEventListener('abort', () => reject(new Error(`${name} has not run its jobs after two minutes`))),
  )
  await Promise.race([all, failed])
}
