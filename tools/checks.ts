import { join } from 'node:path'
import { check as anatomy } from './anatomy.ts'
import { stage } from './build.ts'
import { check as docs } from './docs-examples.ts'
import { check as errors } from './error-catalogue.ts'
import { check as exportsCheck } from './exports.ts'
import { check as layers } from './layers.ts'
import { check as options } from './options-docs.ts'
import { check as claims } from './readme-claims.ts'
import { remembered } from './remembered.ts'
import { root, run } from './workspace.ts'
import type { Check } from './workspace.ts'

const bin = (path: string): string => join(root, 'node_modules', path)

/** A command that is silent about nothing: its output is the fault. */
function command(file: string, ...args: string[]): Check {
  return async (base) => {
    const ran = await run('node', [bin(file), ...args], { cwd: base })
    return ran.status === 0 ? [] : [ran.output.trim() || `exit status ${ran.status}`]
  }
}

function types(project: string, name: string): Check {
  return command(
    'ts7/bin/tsc',
    '-p',
    project,
    '--incremental',
    '--tsBuildInfoFile',
    `node_modules/.cache/tsforge/${name}.tsbuildinfo`,
  )
}

/** What the two judges of packages say about a packed package. */
export async function judge(tarball: string): Promise<string[]> {
  const reports = await Promise.all([
    run('node', [bin('publint/src/cli.js'), 'run', tarball, '--strict']),
    run('node', [
      bin('@arethetypeswrong/cli/dist/index.js'),
      tarball,
      '--profile',
      'esm-only',
      '--format',
      'table-flipped',
      '--no-emoji',
      '--no-definitely-typed',
    ]),
  ])
  return reports.filter(({ status }) => status !== 0).map(({ output }) => output.trim())
}

async function published(): Promise<string[]> {
  return judge((await stage('check')).tarball)
}

/** What the package is made of, and with. */
function isOfPackage(file: string): boolean {
  if (/^(?:package-lock\.json|tsconfig\.base\.json|LICENSE)$/.test(file)) return true
  return /^(?:packages\/tsforge|tools)\//.test(file) && !file.includes('/tests/')
}

/** What the linter looks at, and what that means. */
function isLinted(file: string): boolean {
  return /\.(?:[cm]?[jt]sx?|json)$/.test(file)
}

/** Every check of `npm run check`, by name; longest first, so that they end together. */
export const checks: Readonly<Record<string, Check>> = {
  package: remembered('package', isOfPackage, published),
  lint: remembered(
    'lint',
    isLinted,
    command('oxlint/bin/oxlint', '--type-aware', '--deny-warnings', '--format', 'unix'),
  ),
  'types:framework': types('packages/tsforge', 'framework'),
  'types:rest': types('.', 'rest'),
  docs,
  layers,
  unused: command('knip/bin/knip.js', '--no-progress', '--no-config-hints'),
  errors,
  options,
  format: command('oxfmt/bin/oxfmt', '--check'),
  anatomy,
  exports: exportsCheck,
  claims,
}
