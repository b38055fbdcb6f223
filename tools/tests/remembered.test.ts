import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { remembered } from '../remembered.ts'
import { read } from '../workspace.ts'

it('a check looks again when a file that counts has changed, also back, or while it looked, and never forgets a fault', async () => {
  const home = mkdtempSync(join(tmpdir(), 'tsforge-remembered-'))
  const write = (text: string, file = 'a.ts'): void => writeFileSync(join(home, file), text)
  let looks = 0
  let meanwhile = (): void => {}
  const counts = (file: string): boolean => file.endsWith('.ts')
  const check = remembered(
    'test',
    counts,
    () => {
      looks++
      meanwhile()
      return read(join(home, 'a.ts')) === 'good' ? [] : ['bad']
    },
    home,
  )
  const looked = async (): Promise<[readonly string[], number]> => {
    looks = 0
    return [await check(home), looks]
  }
  try {
    write('bad')
    expect(await looked()).toEqual([['bad'], 1])
    expect(await looked()).toEqual([['bad'], 1])
    write('good')
    expect(await looked()).toEqual([[], 1])
    expect(await looked()).toEqual([[], 0])
    write('whatever', 'a.txt')
    expect(await looked()).toEqual([[], 0])
    write('', 'b.ts')
    expect(await looked()).toEqual([[], 1])
    write('bad')
    meanwhile = () => write('good')
    expect(await looked()).toEqual([[], 1])
    meanwhile = () => {}
    write('bad')
    expect(await looked()).toEqual([['bad'], 1])
    write('good')
    expect(await looked()).toEqual([[], 0])
    looks = 0
    await remembered('test', counts, () => [`${++looks}`], home)(tmpdir())
    expect(looks).toBe(1)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
})
