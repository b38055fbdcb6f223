import { readFileSync } from 'node:fs'
import { createStorage } from '../create-storage.ts'
import { disk } from '../drivers/disk.ts'

/** Run as nobody in particular: tries every key of `keys.json` in every way, and tells what each came to. */
const [, , root = '', keysFile = ''] = process.argv
const storage = createStorage(disk({ path: root })).scope('tenant/')
const outcome = async (work: () => Promise<unknown>): Promise<string> =>
  work().then(
    () => 'done',
    (error: Error & { code?: string }) => error.code ?? error.message,
  )
const results: Record<string, readonly string[]> = {}
for (const key of JSON.parse(readFileSync(keysFile, 'utf8')) as string[]) {
  results[JSON.stringify(key)] = [
    await outcome(() => storage.put(key, 'stolen')),
    await outcome(async () => (await storage.get(key)).text()),
    await outcome(() => storage.head(key)),
    await outcome(() => storage.copy('mine', key)),
    await outcome(() => storage.copy(key, 'mine')),
    await outcome(() => storage.delete(key)),
    await outcome(() => storage.deleteMany([key])),
    await outcome(() => storage.presignGet(key)),
  ]
}
process.stdout.write(JSON.stringify(results))
