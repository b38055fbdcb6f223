import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { root } from '../workspace.ts'

const read = (file: string): string => readFileSync(join(root, file), 'utf8')

it('shows the minimal example in README as it is, within forty lines', () => {
  const example = read('examples/minimal/forge.config.ts').trimEnd()
  expect(read('README.md')).toContain(`\`\`\`ts\n${example}\n\`\`\`\n`)
  expect(example.split('\n').length).toBeLessThanOrEqual(40)
})
