/**
 * Every module looks the same inside (ARCHITECTURE.md, "Anatomy of a module"). Reports strangers, missing
 * parts, files that grew too long and tests that do not run.
 */
import { existsSync, readdirSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { filesIn, read, runAsTool } from './workspace.ts'

const src = 'packages/tsforge/src'
const lineCeiling = 400
const indexCeiling = 30
const exampleCeiling = 10

/** Folders below `features/` that hold modules instead of being one. */
const moduleGroups = new Set(['authn'])
const moduleFolders = new Set(['drivers', 'migrations', 'tests', 'sql', 'assets'])
/** Folders that one module needs and no other: db's migration engine and repositories, and what its drivers share. */
const ownFolders: Readonly<Record<string, readonly string[]>> = {
  db: ['migrate', 'pg', 'repository'],
  events: ['dispatcher'],
  jobs: ['runner', 'scheduler', 'steps'],
  mail: ['inbox'],
  webhooks: ['deliveries', 'endpoints', 'messages'],
}
const bannedName = /(?:^|[-._])(?:utils?|helpers?|common|misc|managers?)(?:[-._]|$)/
const kebabFile = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/
const notRun = /\b(?:it|test|describe|suite)(?:\.\w+)*\.(?:skip|only|todo)\b|\b(?:xit|xdescribe|xtest|fit|fdescribe)\(/

/** Where sources of our own live. */
const sourceRoots = ['packages', 'apps', 'examples', 'bench', 'tests', 'tools']

export interface Anatomy {
  readonly faults: readonly string[]
  readonly modules: number
  /** Lines of the median file among the framework's shipped sources. */
  readonly medianLines: number
}

/** Examines the tree at `base`. */
export function examine(base: string): Anatomy {
  const faults: string[] = []
  const lengths: number[] = []
  for (const area of sourceRoots) {
    if (!existsSync(join(base, area))) continue
    for (const file of filesIn(join(base, area))) examineFile(base, `${area}/${file}`, faults, lengths)
  }
  const modules = moduleFoldersIn(base)
  for (const module of modules) examineModule(base, module, faults)
  lengths.sort((a, b) => a - b)
  return { faults, modules: modules.length, medianLines: lengths[lengths.length >> 1] ?? 0 }
}

/** Module folders relative to the root. */
function moduleFoldersIn(base: string): string[] {
  const folders = (path: string): string[] =>
    existsSync(join(base, path))
      ? readdirSync(join(base, path), { withFileTypes: true })
          .filter((entry) => entry.isDirectory())
          .map((entry) => `${path}/${entry.name}`)
      : []
  return ['primitives', 'features']
    .flatMap((room) => folders(`${src}/${room}`))
    .flatMap((folder) => (moduleGroups.has(basename(folder)) ? folders(folder) : [folder]))
}

function examineFile(base: string, file: string, faults: string[], lengths: number[]): void {
  const name = basename(file)
  if (/\.(?:ts|tsx|js|cjs|mjs)$/.test(name)) {
    if (bannedName.test(name))
      faults.push(`${file}: the name says nothing (banned: util, helper, common, misc, manager)`)
    else if (!kebabFile.test(name)) faults.push(`${file}: file names are kebab-case`)
  }
  if (!name.endsWith('.ts')) return
  const text = read(join(base, file)) ?? ''
  const lines = text.split('\n').length - 1
  if (lines > lineCeiling) faults.push(`${file}: ${lines} lines, the ceiling is ${lineCeiling}`)
  const inTests = file.includes('/tests/') || file.startsWith('tests/')
  if (file.startsWith(src) && !inTests) lengths.push(lines)
  if (!name.endsWith('.test.ts')) return
  if (file.startsWith(src) && !inTests) faults.push(`${file}: tests lie in the module's tests/`)
  const disabled = notRun.exec(withoutStrings(text))
  if (disabled !== null) faults.push(`${file}: \`${disabled[0]}\`: every test runs`)
}

function examineModule(base: string, module: string, faults: string[]): void {
  const folder = join(base, module)
  const files = filesIn(folder)
  const has = (name: string): boolean => files.includes(name)
  const fault = (sentence: string): void => void faults.push(`${module}: ${sentence}`)

  const wanted = ['README.md', 'index.ts', ...(has('plugin.ts') || has('driver.ts') ? ['errors.ts'] : [])]
  for (const file of wanted) if (!has(file)) fault(`${file} is missing`)
  if (!files.some((file) => /^tests\/.+\.test\.ts$/.test(file))) fault('tests/ has no test')
  const known = new Set([...moduleFolders, ...(ownFolders[basename(module)] ?? [])])
  const folders = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]!))
  for (const name of folders) if (!known.has(name)) fault(`${name}/ is a stranger`)
  for (const file of files) {
    const [first, ...rest] = file.split('/') as [string, ...string[]]
    if (rest.length === 0 && first !== 'README.md' && !first.endsWith('.ts')) fault(`${first} is a stranger`)
    else if (first === 'drivers' && !file.endsWith('.ts')) fault(`${file} is a stranger`)
    const schema = !basename(file).startsWith('options') && !file.includes('tests/') && file.endsWith('.ts')
    if (schema && /:\s*OptionsSchema</.test(read(join(folder, file)) ?? ''))
      fault(`${file} declares options: they belong in options.ts`)
  }
  if (has('index.ts')) examineIndex(read(join(folder, 'index.ts')) ?? '', fault)
  if (has('README.md'))
    examineReadme(read(join(folder, 'README.md')) ?? '', has('options.ts'), driversOf(files).length > 0, fault)
  examineDrivers(folder, files, fault)
  examineMigrations(files, fault)
}

function examineIndex(text: string, fault: (sentence: string) => void): void {
  const lines = text.split('\n').length - 1
  if (lines > indexCeiling) fault(`index.ts has ${lines} lines, the ceiling is ${indexCeiling}`)
  const code = withoutComments(text).replaceAll(
    /export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s*from\s*'[^']+';?/g,
    '',
  )
  if (code.trim() !== '') fault(`index.ts holds more than exports: ${code.trim().split('\n')[0]}`)
}

function examineReadme(
  text: string,
  hasOptions: boolean,
  hasDrivers: boolean,
  fault: (sentence: string) => void,
): void {
  const sections = new Map(
    text
      .split(/^## /m)
      .slice(1)
      .map((part) => [part.split('\n')[0]!.trim().toLowerCase(), part]),
  )
  const wanted = [
    'What',
    'Example',
    ...(hasOptions ? ['Options'] : []),
    ...(hasDrivers ? ['Drivers'] : []),
    'When it breaks',
  ]
  for (const title of wanted) if (!sections.has(title.toLowerCase())) fault(`README.md has no section "## ${title}"`)
  const example = /```\w*[^\n]*\n([\s\S]*?)```/.exec(sections.get('example') ?? '')
  if (sections.has('example') && example === null) fault('README.md: the example has no code')
  const lines = example?.[1]!.trimEnd().split('\n').length ?? 0
  if (lines > exampleCeiling) fault(`README.md: the example has ${lines} lines, the ceiling is ${exampleCeiling}`)
}

function driversOf(files: readonly string[]): string[] {
  return [...new Set(files.flatMap((file) => /^drivers\/([a-z0-9-]+)(?:\.ts$|\/index\.ts$)/.exec(file)?.[1] ?? []))]
}

function examineDrivers(folder: string, files: readonly string[], fault: (sentence: string) => void): void {
  const drivers = driversOf(files)
  if (drivers.length === 0) {
    if (files.some((file) => file.startsWith('drivers/'))) fault('drivers/ holds no driver')
    return
  }
  for (const file of ['driver.ts', 'contract.ts']) if (!files.includes(file)) fault(`drivers/ without ${file}`)
  const exams = files
    .filter((file) => /^tests\/.+\.ts$/.test(file))
    .map((file) => read(join(folder, file)) ?? '')
    .filter((text) => text.includes('/contract.ts'))
  for (const driver of drivers) {
    const examined = exams.some((text) => text.includes(`drivers/${driver}.ts`) || text.includes(`drivers/${driver}/`))
    if (!examined) fault(`driver ${driver} does not run the contract`)
  }
}

function examineMigrations(files: readonly string[], fault: (sentence: string) => void): void {
  const migrations = files.filter((file) => file.startsWith('migrations/'))
  const ups: string[] = []
  for (const file of migrations) {
    const name = /^migrations\/(\d{4}_[a-z0-9_]+)\.(up|down)\.sql$/.exec(file)
    if (name === null) fault(`${file} is not named NNNN_name.up.sql or NNNN_name.down.sql`)
    else if (!migrations.includes(`migrations/${name[1]}.${name[2] === 'up' ? 'down' : 'up'}.sql`))
      fault(`${file} has no counterpart`)
    else if (name[2] === 'up') ups.push(name[1]!)
  }
  ups.forEach((name, index) => {
    if (Number(name.slice(0, 4)) !== index + 1)
      fault(`migrations/${name}.up.sql should have number ${String(index + 1).padStart(4, '0')}`)
  })
  if (migrations.some((file) => dirname(file) !== 'migrations')) fault('migrations/ has folders')
}

function withoutComments(text: string): string {
  return text.replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '')
}

/** Drops string contents, so that code quoted in a test's own text does not count. */
function withoutStrings(text: string): string {
  return withoutComments(text).replaceAll(/'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`/g, "''")
}

/** Faults of the tree at `base`. */
export function check(base: string): readonly string[] {
  return examine(base).faults
}

await runAsTool(import.meta, check)
