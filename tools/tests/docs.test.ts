import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { examplesIn, layOut } from '../docs-examples.ts'
import { root, run } from '../workspace.ts'

const examples = examplesIn(root).filter(({ language, note }) => language === 'ts' && note === '')
const { files } = layOut(root, examples, 'docs-run')

describe('code in the documentation', () => {
  it.each(examples.map(({ at }, index) => [at, files[index]!]))(
    '%s runs as it is printed',
    async (_, file) => {
      const cwd = mkdtempSync(join(tmpdir(), 'tsforge-example-'))
      try {
        const env = { PORT: '0', NODE_ENV: 'development' }
        const ran = await run('node', ['--conditions=source', join(root, 'tools/run-example.ts'), file], { cwd, env })
        expect(ran.output).toContain('example finished')
      } finally {
        rmSync(cwd, { recursive: true, force: true })
      }
    },
    240_000,
  )

  it('is there at all', () => {
    expect(examplesIn(root).length).toBeGreaterThan(0)
  })
})
