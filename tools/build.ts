/**
 * `npm run build`: compiles `packages/tsforge/src` to `dist`: one declaration file per module, one file of code per
 * door (see bundle.ts), and beside them what is not TypeScript (migrations, pages). The old `dist` is replaced only
 * when everything has worked.
 */
import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { bundle } from './bundle.ts'
import { specifierOf } from './exports.ts'
import { cacheFolder, filesIn, root, run } from './workspace.ts'

const packageFolder = join(root, 'packages/tsforge')

/**
 * Compiles into `target` (an absolute folder). Throws with the compiler's report. Unchecked, declarations are only written
 * (every export names its type): a fifth of the work, for where somebody else checks the types.
 */
export async function compile(target: string, { checked = true } = {}): Promise<void> {
  const next = `${target}.${process.pid}`
  rmSync(next, { recursive: true, force: true })
  const ran = await run('node', [
    join(root, 'node_modules/ts7/bin/tsc'),
    '-p',
    join(packageFolder, 'tsconfig.build.json'),
    '--emitDeclarationOnly',
    ...(checked ? [] : ['--noCheck']),
    '--outDir',
    next,
  ])
  if (ran.status !== 0) {
    rmSync(next, { recursive: true, force: true })
    throw new Error(ran.output)
  }
  const src = join(packageFolder, 'src')
  for (const file of filesIn(src)) {
    if (/\.(?:ts|md)$/.test(file) || /(?:^|\/)tests\//.test(file)) continue
    mkdirSync(dirname(join(next, file)), { recursive: true })
    cpSync(join(src, file), join(next, file))
  }
  const doors = filesIn(src).filter((file) => specifierOf(file) !== undefined)
  await bundle(src, [...doors, 'cli/main.ts'], next)
  scope(next)
  rmSync(target, { recursive: true, force: true })
  renameSync(next, target)
}

/**
 * For each module Node looks for the nearest package.json, to learn whether it is ESM, and does not remember where
 * there is none: with one in every folder, starting takes an eighth less.
 */
function scope(dist: string): void {
  for (const folder of new Set(filesIn(dist).map((file) => dirname(file)))) {
    writeFileSync(join(dist, folder, 'package.json'), '{ "type": "module" }\n')
  }
}

/**
 * Lays a publishable copy of the package into a folder of its own and packs it; leaves the checkout's `dist` alone. Types are not
 * checked: that is what `types:framework` does.
 */
export async function stage(name: string): Promise<{ folder: string; tarball: string }> {
  const folder = join(cacheFolder, name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const inside = join(folder, 'package')
  mkdirSync(inside)
  for (const part of ['package.json', 'README.md', 'bin', 'src'])
    cpSync(join(packageFolder, part), join(inside, part), { recursive: true })
  cpSync(join(root, 'LICENSE'), join(inside, 'LICENSE'))
  await compile(join(inside, 'dist'), { checked: false })
  const packed = await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: inside })
  const tarball = readdirSync(folder).find((file) => file.endsWith('.tgz'))
  if (packed.status !== 0 || tarball === undefined) throw new Error(packed.output)
  return { folder: inside, tarball: join(folder, tarball) }
}

if (process.argv[1] === import.meta.filename) {
  try {
    await compile(join(packageFolder, 'dist'))
  } catch (error) {
    console.error((error as Error).message)
    process.exitCode = 1
  }
}
