import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'

const script = `
  import { registerHooks } from 'node:module'
  const seen = []
  registerHooks({ load: (url, context, next) => (seen.push(url), next(url, context)) })
  const { createStorage, storage } = await import('tsforge/storage')
  const { memory } = await import('tsforge/storage/memory')
  await import('tsforge/storage/s3')
  await createStorage(memory()).put('a', 'x')
  storage()
  process.stdout.write(JSON.stringify(seen))
`

it('nothing of a driver or of an SDK is loaded before it is used', () => {
  const args = ['--conditions=source', '--input-type=module', '--eval', script]
  const seen = JSON.parse(
    execFileSync(process.execPath, args, { cwd: import.meta.dirname, encoding: 'utf8' }),
  ) as string[]
  expect(seen.some((url) => url.endsWith('/drivers/s3.ts'))).toBe(true)
  expect(seen.filter((url) => /node_modules\/(?:@aws-sdk|@smithy)\/|drivers\/disk/.test(url))).toEqual([])
})
