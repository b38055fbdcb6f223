import { Readable } from 'node:stream'
import { createStorage } from '../create-storage.ts'
import { disk } from '../drivers/disk.ts'
import { s3 } from '../drivers/s3.ts'

const [, , kind, settings = '{}', bytes = '0'] = process.argv
const size = Number(bytes)
const storage = createStorage(kind === 'disk' ? disk(JSON.parse(settings)) : s3(JSON.parse(settings)))

const piece = Buffer.alloc(65_536, 'forge')

/** The same bytes again and again, so that the garbage of the source is not counted. */
function* pieces(of: number): Generator<Buffer> {
  for (let left = of; left > 0; left -= piece.length) yield piece.subarray(0, Math.min(left, piece.length))
}

// Loads what is loaded lazily, and lets the process come to the size of one that streams anything at all: V8 collects
// what sockets have read only after some 64 MB of it.
await storage.put('warm', Readable.from(pieces(96 * 2 ** 20), { objectMode: false }))
for await (const _ of (await storage.get('warm')).body);
const before = process.memoryUsage.rss()
let most = before
const watch = setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 10)

// Its length is not told: the driver has to find out how many parts there are.
const { size: stored } = await storage.put('large', Readable.from(pieces(size), { objectMode: false }))
let read = 0
for await (const part of (await storage.get('large')).body) read += (part as Buffer).length
clearInterval(watch)
await storage.delete('large')
await storage.close()
process.stdout.write(JSON.stringify({ stored, read, grownBytes: most - before }))
