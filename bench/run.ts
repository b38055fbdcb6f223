/**
 * `npm run bench -- <name> [--quick] [--json]`: prints how we compare with the rivals of one bench, in one run with
 * alternating rounds. A full run is kept in results.json, from which README's table is made.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { arch, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { barText, reaches } from './bench.ts'
import type { Bench, Settings } from './bench.ts'
import { hasWrk, pinned } from './processes.ts'
import { keepResult } from './results.ts'
import { writeTable } from './table.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
})
const [name = ''] = positionals
const file = join(import.meta.dirname, `${name}.bench.ts`)
if (!/^[a-z-]+$/.test(name) || !existsSync(file)) {
  const known = readdirSync(import.meta.dirname).flatMap((entry) => /^(.+)\.bench\.ts$/.exec(entry)?.[1] ?? [])
  console.error(`usage: npm run bench -- <${known.join('|')}> [--quick] [--json]`)
  process.exit(2)
}

const note = (sentence: string): void => console.error(`  ${sentence}`)
const generator = `${hasWrk ? 'wrk' : 'bench/generator.ts'}${pinned ? ', servers on a core of their own' : ''}`
const settings: Settings = values.quick
  ? { rounds: 3, seconds: 1, repetitions: 10, memoryRequests: 30_000, generator, note }
  : { rounds: 7, seconds: 1, repetitions: 100, memoryRequests: 250_000, generator, note }

// What is measured is what is published: the built package, not the sources.
const built = spawnSync(process.execPath, [join(import.meta.dirname, '../tools/build.ts')], { stdio: 'inherit' })
if (built.status !== 0) process.exit(1)
const { bench } = (await import(file)) as { bench: Bench }
const claims = await bench.run(settings)

if (values.json) for (const line of claims) console.log(JSON.stringify(line))
else {
  for (const { claim, ratio, min, max, rounds } of claims) {
    const bar = bench.bars[claim]
    const verdict = bar === undefined ? '' : `  ${reaches(ratio, bar) ? 'holds' : 'MISSED'} ${barText(bar)}`
    console.log(`${claim.padEnd(28)} ${String(ratio).padStart(7)}  (${min} to ${max}, ${rounds} rounds)${verdict}`)
  }
}
if (!values.quick) {
  const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${process.platform} ${arch()}`
  keepResult(name, { date: new Date().toISOString().slice(0, 10), machine, node: process.version, generator, claims })
  writeTable()
}
