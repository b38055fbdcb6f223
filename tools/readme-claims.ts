/** README's table of measured claims is made from bench/results.json (bench/table.ts). */
import { join } from 'node:path'
import { run } from './workspace.ts'
import type { Check } from './workspace.ts'

/** Reports a table that does not fit the last full runs in the tree at `base`. */
export const check: Check = async (base) => {
  const ran = await run('node', [join(base, 'bench/table.ts'), '--check'], { cwd: base })
  return ran.status === 0 ? [] : [ran.output.trim()]
}
