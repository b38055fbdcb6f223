import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const file = join(import.meta.dirname, '../young-generation.ts')

/** Survivors enough to make the young generation grow several times, in a process of its own. */
const load = `
  const { getHeapSpaceStatistics } = await import('node:v8')
  const { holdYoungGeneration } = await import(${JSON.stringify(file)})
  const held = process.argv[1] === 'hold' && holdYoungGeneration()
  let alive = []
  for (let round = 0; round < 400; round++) {
    alive.push(Array.from({ length: 5000 }, (_, i) => ({ i, round })))
    if (alive.length > 100) alive = alive.slice(50)
  }
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space')
  console.log(JSON.stringify({ held, mebibytes: space.space_size / 2 ** 20 }))
`

function measure(flags: readonly string[], mode: 'hold' | 'leave'): { held: boolean; mebibytes: number } {
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '--input-type=module', '-e', load, mode], {
    encoding: 'utf8',
  })
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout) as { held: boolean; mebibytes: number }
}

test('the young generation stays at 2 × 8 MiB under a load that would make it grow', () => {
  const [held, left] = [measure([], 'hold'), measure([], 'leave')]
  expect(held).toEqual({ held: true, mebibytes: 16 })
  expect(left.mebibytes).toBeGreaterThan(16)
})

test('a size that somebody chose is not overruled', () => {
  expect(measure(['--max-semi-space-size=32'], 'hold').held).toBe(false)
})
