/**
 * `npm run check`: everything that can be said about the code without running it. As many checks at a time as processors;
 * `npm run check -- <name>` runs one (or all that begin so) and prints its whole report.
 */
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { examine } from './anatomy.ts'
import { checks } from './checks.ts'
import { cacheFolder, root } from './workspace.ts'
import type { Check } from './workspace.ts'

interface Result {
  readonly name: string
  readonly seconds: number
  readonly faults: readonly string[]
}

async function attempt(check: Check): Promise<readonly string[]> {
  try {
    return await check(root)
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
  }
}

async function perform(name: string): Promise<Result> {
  const begun = performance.now()
  const faults = await attempt(checks[name]!)
  return { name, seconds: (performance.now() - begun) / 1000, faults }
}

async function main(wanted: string | undefined): Promise<void> {
  mkdirSync(cacheFolder, { recursive: true })
  const begun = performance.now()
  const queue = Object.keys(checks).filter((name) => wanted === undefined || name.startsWith(wanted))
  if (queue.length === 0) throw new Error(`no check begins with "${wanted}": ${Object.keys(checks).join(', ')}`)
  const results: Result[] = []
  const worker = async (): Promise<void> => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) results.push(await perform(name))
  }
  await Promise.all(Array.from({ length: Math.max(2, availableParallelism()) }, worker))
  for (const { name, faults } of results) if (faults.length > 0) console.log(`\n--- ${name}\n${faults.join('\n')}`)
  console.log('')
  for (const { name, seconds, faults } of results) {
    console.log(
      `${faults.length === 0 ? 'ok  ' : 'FAIL'}  ${name.padEnd(16)} ${seconds.toFixed(1).padStart(5)} s${faults.length > 1 ? `  ${faults.length} faults` : ''}`,
    )
  }
  const { modules, medianLines } = examine(root)
  const failed = results.filter(({ faults }) => faults.length > 0).length
  console.log(
    `${results.length - failed} of ${results.length} checks passed in ${((performance.now() - begun) / 1000).toFixed(1)} s; ${modules} modules, median file ${medianLines} lines`,
  )
  if (failed > 0) process.exitCode = 1
}

await main(process.argv[2])
