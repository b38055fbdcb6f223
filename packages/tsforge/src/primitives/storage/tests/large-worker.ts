import { Readable } from 'node:stream'
import { createStorage } from '../create-storage.ts'
import { disk } from '../drivers/disk.ts'
import { s3 } from '../drivers/s3.ts'

const [, , kind, settings = '{}', bytes = '0'] = process.argv
const size = Number(bytes)
const storage = createStorage(kind === 'disk' ? disk(JSON.parse(settings)) : s3(JSON.parse(settings)))

function* pieces(of: number): Generator<Buffer> {
  for (let left = of; left > 0; left -= 65_536) yield Buffer.alloc(Math.min(left, 65_536), left % 251)
}

// Loads what is loaded lazily, and lets the sockets and the heap come to their usual size.
await storage.put('warm', Readable.from(pieces(3 * 2 ** 20), { objectMode: false }))
await (await storage.get('warm')).bytes()
const before = process.memoryUsage.rss()
let most = before
const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10)

// Its length is not told: the driver has to find out how many parts there are.
const { size: stored } = await storage.put('large', Readable.from(pieces(size), { objectMode: false }))
let read = 0
for await (const piece of (await storage.get('large')).body) read += (piece as Buffer).length
clearInterval(watch)
await storage.delete('large')
await storage.close()
process.stdout.write(JSON.stringify({ stored, read, grownBytes: most - before }))
