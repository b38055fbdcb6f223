import type { Finished } from 'tsforge/jobs'
import { bulk } from './measures.ts'
import type { Ours } from './ours.ts'

const batch = 100
const claims = 100
const repetitions = 3

/** Jobs claimed and finished per second, in batches of 100, of 1000 that wait and of many more. */
export async function claimRates(
  ours: Ours,
  many: number,
): Promise<{ readonly few: readonly number[]; readonly many: readonly number[] }> {
  const [small, large]: [number[], number[]] = [[], []]
  for (let turn = 0; turn < repetitions; turn++) {
    let seconds = 0
    await ours.clear()
    for (let part = 0; part < claims / 10; part++) {
      await bulk(ours, 1000)
      seconds += await claim(ours, `few ${turn} ${part}`, 10)
    }
    small.push((claims * batch) / seconds)
  }
  await ours.clear()
  await bulk(ours, many)
  for (let turn = 0; turn < repetitions; turn++)
    large.push((claims * batch) / (await claim(ours, `many ${turn}`, claims)))
  await ours.clear()
  return { few: small, many: large }
}

/** Seconds that so many claims take, each of which also ends the jobs of the one before. */
async function claim({ jobs: { driver }, name }: Ours, worker: string, count: number): Promise<number> {
  let finished: Finished[] = []
  const request = { queue: 'default', worker, leaseMs: 30_000, kinds: ['mail.send'], idle: false }
  const begun = performance.now()
  for (let turn = 0; turn < count; turn++) {
    const { jobs } = await driver.step({ ...request, want: batch, finished })
    if (jobs.length !== batch) throw new Error(`${name}: a claim found ${jobs.length} jobs`)
    finished = jobs.map(({ id, lease }) => ({ id, lease, as: 'done', keep: false }))
  }
  const seconds = (performance.now() - begun) / 1000
  await driver.step({ ...request, want: 0, finished })
  await driver.leave(worker)
  return seconds
}
