import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { stage } from '../build.ts'
import { judge } from '../checks.ts'
import { filesIn, read, root, run } from '../workspace.ts'

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

// The oldest Node that the package promises to run on, where a run brings it.
const node = process.env['FORGE_TEST_NODE'] ?? 'node'

describe('the published package', () => {
  let project: string
  let installed: string
  let manifest: Manifest

  // As npm would lay it out, but offline: the tarball unpacked, and beside it only what it declares.
  beforeAll(async () => {
    project = mkdtempSync(join(tmpdir(), 'tsforge-package-'))
    const { tarball } = await stage('package-test')
    installed = join(project, 'node_modules/tsforge')
    mkdirSync(installed, { recursive: true })
    const unpacked = await run('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1'])
    if (unpacked.status !== 0) throw new Error(unpacked.output)
    manifest = JSON.parse(read(join(installed, 'package.json'))!) as Manifest
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })) {
      const link = join(project, 'node_modules', name)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(realpathSync(join(root, 'node_modules', name)), link)
    }
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  }, 240_000)
  afterAll(() => rmSync(project, { recursive: true, force: true }))

  it('can be imported by every name that it exports', async () => {
    const names = Object.keys(manifest.exports).filter((name) => name !== './package.json')
    const program = names.map((name) => `await import(${JSON.stringify(`tsforge${name.slice(1)}`)})`).join('\n')
    writeFileSync(join(project, 'all.mjs'), program)
    const ran = await run(node, [join(project, 'all.mjs')], { cwd: project })
    expect(ran.output).toBe('')
    expect(ran.status).toBe(0)
  }, 240_000)

  it('runs its command line without a checkout', async () => {
    const ran = await run(node, [join(installed, 'bin/forge.js'), '--help'], { cwd: project })
    expect(ran.output).toContain('migrate')
    expect(ran.status).toBe(0)
  }, 240_000)

  it('holds migrations beside their modules, maps, and no tests', () => {
    const files = filesInPackage(installed)
    const sources = filesIn(join(root, 'packages/tsforge/src')).filter(
      (file) => file.endsWith('.sql') && !file.includes('tests/'),
    )
    for (const file of sources) expect(files).toContain(`dist/${file}`)
    expect(files).toContain('dist/index.d.ts.map')
    expect(files.filter((file) => /(?:^|\/)tests\//.test(file))).toEqual([])
  })
})

describe('the judges of packages', () => {
  it.each([
    ['types that are not there', './gone.d.ts', 'gone.d.ts'],
    ['types that cannot be resolved by their users', './index.d.ts', 'Internal resolution error'],
  ])(
    'report %s',
    async (_, types, expected) => {
      const folder = mkdtempSync(join(tmpdir(), 'tsforge-judge-'))
      try {
        const exports = { '.': { types, default: './index.js' } }
        writeFileSync(
          join(folder, 'package.json'),
          JSON.stringify({ name: 'planted', version: '1.0.0', type: 'module', exports }),
        )
        writeFileSync(join(folder, 'index.js'), 'export const a = 1\n')
        writeFileSync(join(folder, 'index.d.ts'), "export { a } from './inner'\n")
        await run('npm', ['pack', '--ignore-scripts'], { cwd: folder })
        expect((await judge(join(folder, 'planted-1.0.0.tgz'))).join('\n')).toContain(expected)
      } finally {
        rmSync(folder, { recursive: true, force: true })
      }
    },
    240_000,
  )
})

/** Like `filesIn`, with `dist`. */
function filesInPackage(folder: string): string[] {
  return existsSync(folder)
    ? readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    : []
}
