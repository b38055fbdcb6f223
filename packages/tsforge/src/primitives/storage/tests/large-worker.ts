import { Readable } from 'node:stream'
import { createStorage } from '../create-storage.ts'
import { disk } from '../drivers/disk.ts'
import { s3 } from '../drivers/s3.ts'

const [, , kind, settings = '{}', bytes = '0', state, ...passes] = process.argv
const size = Number(bytes)
const storage = createStorage(kind === 'disk' ? disk(JSON.parse(settings)) : s3(JSON.parse(settings)))

const piece = Buffer.alloc(65_536, 'forge')

/** The same bytes again and again, so that the garbage of the source is not counted. */
function* pieces(of: number): Generator<Buffer> {
  for (let left = of; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length))
}

/** Its length is not told: the driver has to find out how many parts there are. */
async function up(key: string, length: number): Promise<number> {
  return (await storage.put(key, Readable.from(pieces(length), { objectMode: false }))).size
}

async function down(key: string): Promise<number> {
  let read = 0
  for await (const part of (await storage.get(key)).body) read += (part as Buffer).length
  return read
}

interface Pass {
  readonly length: number
  /** By how much the process was at most larger than before. */
  readonly grownBytes: number
  readonly mibPerSecond: number
}

async function measured(work: () => Promise<number>): Promise<Pass> {
  const [before, since] = [process.memoryUsage.rss(), performance.now()]
  let most = before
  const look = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10)
  const length = await work()
  clearInterval(look)
  const mibPerSecond = Math.round(length / 2 ** 20 / ((performance.now() - since) / 1000))
  return { length, grownBytes: Math.max(most, process.memoryUsage.rss()) - before, mibPerSecond }
}

// In a process that streams all day there is garbage already; one that is cold has done no more than load what it needs.
const warmUp = state === 'warm' ? 96 * 2 ** 20 : 1024
await up('warm', warmUp)
await down('warm')
const report: Record<string, Pass> = {}
for (const pass of passes) report[pass] = await measured(() => (pass === 'up' ? up('large', size) : down('large')))
await storage.close()
process.stdout.write(JSON.stringify(report))
