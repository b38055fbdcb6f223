/**
 * Code in the documentation is code: every `ts` block of README.md, docs/ and the modules' READMEs is type-checked
 * here and executed by tests/docs.test.ts. A block marked `ts check` is a fragment of a running app and only
 * type-checked. What an example needs and a reader does not want to read (imports, a database) stands right before it
 * in a comment `<!-- setup … -->` and is put in front. Lines of `sh` blocks name npm scripts and forge commands that exist.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { cacheFolder, filesIn, read, root, run, runAsTool } from './workspace.ts'

export interface Example {
  /** `docs/start.md:12`. */
  readonly at: string
  readonly language: string
  /** What follows the language on the fence's line. */
  readonly note: string
  readonly code: string
}

/** Pages whose code counts, relative to `base`. */
function pagesIn(base: string): string[] {
  const found = filesIn(base).filter((file) => file.endsWith('.md'))
  return found.filter((file) => !file.includes('/tests/') && file !== 'CHANGELOG.md')
}

/** Every fenced block of the documentation, with its setup in front. */
export function examplesIn(base: string): Example[] {
  return pagesIn(base).flatMap((page) => {
    const text = read(join(base, page)) ?? ''
    return [...text.matchAll(/^```(\w+)[ \t]*([^\n]*)\n([\s\S]*?)^```/gm)].map((match) => {
      const before = text.slice(0, match.index)
      const setup = /<!-- setup\n((?:(?!-->)[\s\S])*)-->\s*$/.exec(before)?.[1] ?? ''
      const [, language, note, code] = match
      return {
        at: `${page}:${before.split('\n').length}`,
        language: language!,
        note: note!.trim(),
        code: setup + code!,
      }
    })
  })
}

/** Writes the blocks as modules into a fresh folder of the tree (sources below node_modules are not run). */
export function layOut(
  base: string,
  examples: readonly Example[],
  name: string,
): { folder: string; files: readonly string[] } {
  const folder = join(base, '.forge', name)
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const files = examples.map(({ at, code }) => {
    const file = join(folder, `${at.replaceAll(/[^a-zA-Z0-9]+/g, '-')}.ts`)
    writeFileSync(file, `${code}\nexport {}\n`)
    return file
  })
  return { folder, files }
}

async function typeFaults(base: string, examples: readonly Example[]): Promise<string[]> {
  if (examples.length === 0) return []
  const { folder, files } = layOut(base, examples, 'docs-types')
  const config = {
    extends: join(base, 'tsconfig.base.json'),
    compilerOptions: {
      customConditions: ['source'],
      noEmit: true,
      allowImportingTsExtensions: true,
      noUnusedLocals: false,
    },
    include: ['*.ts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const known = ['--incremental', '--tsBuildInfoFile', join(cacheFolder, 'docs.tsbuildinfo')]
  const compiler = join(root, 'node_modules/ts7/bin/tsc')
  const ran = await run('node', [compiler, '-p', folder, ...(base === root ? known : [])], { cwd: folder })
  const faults = ran.output.split('\n').filter((line) => line.includes('error TS'))
  const named = faults.map((line) => {
    const index = files.findIndex((file) => line.startsWith(file.slice(folder.length + 1)))
    return index < 0 ? line : `${examples[index]!.at}: ${line.slice(line.indexOf('('))}`
  })
  return ran.status !== 0 && named.length === 0 ? [ran.output] : named
}

async function shellFaults(base: string, examples: readonly Example[]): Promise<string[]> {
  const scripts =
    (JSON.parse(read(join(base, 'package.json')) ?? '{}') as { scripts?: Record<string, string> }).scripts ?? {}
  const table = join(base, 'packages/tsforge/src/cli/commands.ts')
  const commands = existsSync(table)
    ? Object.keys(((await import(pathToFileURL(table).href)) as { commands: object }).commands)
    : []
  return examples.flatMap(({ at, code }) =>
    code.split('\n').flatMap((line) => {
      const script = /(?:^|&& )(?:npm run |npm (?=start\b|test\b))([\w:-]+)/.exec(line)?.[1]
      if (script !== undefined && !Object.hasOwn(scripts, script)) return [`${at}: there is no npm script "${script}"`]
      const command = /(?:^|&& |npx )(?:ts)?forge (?!--)([\w-]+)/.exec(line)?.[1]
      return command !== undefined && !commands.includes(command)
        ? [`${at}: there is no command "forge ${command}"`]
        : []
    }),
  )
}

/** Faults of the documentation's code in the tree at `base`. */
export async function check(base: string): Promise<string[]> {
  const examples = examplesIn(base)
  const unknown = examples.filter(
    ({ language, note }) =>
      ['typescript', 'js', 'javascript'].includes(language) || (language === 'ts' && !['', 'check'].includes(note)),
  )
  return [
    ...unknown.map(
      ({ at, language, note }) =>
        `${at}: \`${language} ${note}\`: blocks are \`ts\` (executed) or \`ts check\` (type-checked)`,
    ),
    ...(await typeFaults(
      base,
      examples.filter(({ language }) => language === 'ts'),
    )),
    ...(await shellFaults(
      base,
      examples.filter(({ language }) => ['sh', 'bash', 'shell'].includes(language)),
    )),
  ]
}

await runAsTool(import.meta, check)
