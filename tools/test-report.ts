/**
 * Sums vitest's JSON reports of several runs and closes with the plain line `N passed, N failed, N skipped`. A run
 * that was cut short, ran nothing, or skipped where skipping is forbidden counts as failed. Names what failed once more,
 * since the reports themselves are thousands of lines above.
 */
import { basename } from 'node:path'
import { read } from './workspace.ts'

interface Report {
  readonly success: boolean
  readonly numTotalTests: number
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly fullName: string
      readonly status: string
      readonly failureMessages?: readonly string[]
    }[]
  }[]
}

/** The only run in which tests of services that may be absent can skip themselves. */
const maySkip = new Set(['default.json'])

const sum = { passed: 0, failed: 0, skipped: 0 }
const faults: string[] = []

for (const path of process.argv.slice(2)) {
  const text = read(path)
  const run = basename(path)
  if (text === undefined) {
    faults.push(`${run}: no report was written`)
    continue
  }
  const report = JSON.parse(text) as Report
  const skipped = report.numPendingTests + report.numTodoTests
  sum.passed += report.numPassedTests
  sum.failed += report.numFailedTests
  sum.skipped += skipped
  console.log(`${run.padEnd(16)} ${report.numPassedTests} passed, ${report.numFailedTests} failed, ${skipped} skipped`)
  if (report.numPassedTests === 0) faults.push(`${run}: no test passed`)
  if (!report.success && report.numFailedTests === 0) faults.push(`${run}: a file could not be run`)
  for (const { name, status: file, message, assertionResults } of report.testResults) {
    if (file === 'failed' && message !== '') faults.push(`${run}: failed: ${basename(name)}: ${firstLine(message)}`)
    for (const { fullName, status, failureMessages } of assertionResults) {
      const test = `${basename(name)}: ${fullName}`
      if (status === 'failed') faults.push(`${run}: failed: ${test}: ${firstLine(failureMessages?.[0])}`)
      else if (status !== 'passed' && !maySkip.has(run)) faults.push(`${run}: skipped: ${test}`)
    }
  }
}

function firstLine(message: string | undefined): string {
  return (message ?? '').split('\n', 1)[0]!.slice(0, 300)
}

for (const fault of faults) console.error(fault)
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`)
if (sum.failed > 0 || faults.length > 0 || process.argv.length < 3) process.exitCode = 1
