/** Runs dependency-cruiser over the tree and makes sure that it has seen every file: it passes when it sees nothing. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { filesIn, root, run, runAsTool } from './workspace.ts'

interface Cruise {
  readonly modules: readonly { readonly source: string; readonly dependencies: readonly unknown[] }[]
  readonly summary: {
    readonly violations: readonly {
      readonly from: string
      readonly to: string
      readonly rule: { readonly name: string }
      readonly cycle?: readonly { readonly name: string }[]
    }[]
  }
}

const areas = ['packages', 'apps', 'examples', 'bench', 'tests', 'tools']

/** Faults of the tree at `base`, each with the name of the rule. */
export async function check(base: string): Promise<string[]> {
  const present = areas.filter((area) => existsSync(join(base, area)))
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs')
  const ran = await run('node', [program, ...present, '--output-type', 'json'], { cwd: base })
  if (!ran.stdout.startsWith('{')) return [`dependency-cruiser failed: ${ran.output}`]
  const cruise = JSON.parse(ran.stdout) as Cruise
  const faults = cruise.summary.violations.map(({ from, to, rule, cycle }) => {
    const path = cycle === undefined ? to : cycle.map(({ name }) => name).join(' → ')
    return `${rule.name}: ${from} → ${path}`
  })
  return [...new Set(faults), ...unseen(base, present, cruise)]
}

function unseen(base: string, present: readonly string[], cruise: Cruise): string[] {
  const seen = new Set(cruise.modules.map(({ source }) => source))
  const sources = present
    .flatMap((area) => filesIn(join(base, area)).map((file) => `${area}/${file}`))
    .filter((file) => /(?<!\.d)\.ts$/.test(file))
  const missed = sources.filter((file) => !seen.has(file)).map((file) => `dependency-cruiser did not see ${file}`)
  const dependencies = cruise.modules.reduce((sum, module) => sum + module.dependencies.length, 0)
  if (dependencies < sources.length / 2)
    missed.push(`dependency-cruiser saw ${dependencies} imports in ${sources.length} files: is TypeScript there?`)
  return missed
}

await runAsTool(import.meta, check)
