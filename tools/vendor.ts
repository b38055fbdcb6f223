/**
 * TypeBox is 373 small modules, and loading them is a third of the time that `tsforge` takes to be imported. The
 * built package brings what it runs of TypeBox as one file; its types still come from the package `typebox`.
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { rolldown } from 'rolldown'
import { filesIn, read, root } from './workspace.ts'

const bundled = 'vendor/typebox.js'
/** What the framework imports of TypeBox at run time. */
const entry = "export { Type } from 'typebox'\n"

/** Bundles TypeBox into the built tree and points the imports of the built modules to it. */
export async function vendor(dist: string): Promise<void> {
  const importers = filesIn(dist).filter(
    (file) => file.endsWith('.js') && /from 'typebox'/.test(read(join(dist, file)) ?? ''),
  )
  mkdirSync(join(dist, 'vendor'), { recursive: true })
  const input = join(dist, 'vendor/entry.mjs')
  const bundle = await rolldown({
    input: 'entry',
    platform: 'node',
    plugins: [
      {
        name: 'entry',
        resolveId: (id) => (id === 'entry' ? input : null),
        load: (id) => (id === input ? entry : null),
      },
    ],
  })
  await bundle.write({ file: join(dist, bundled), format: 'esm', codeSplitting: false })
  await bundle.close()
  cpSync(join(root, 'node_modules/typebox/license'), join(dist, 'vendor/typebox.license'))
  for (const file of importers) {
    const text = read(join(dist, file))!
    const names =
      /import \{([^}]*)\} from 'typebox'/.exec(text)?.[1] ?? /export \{([^}]*)\} from 'typebox'/.exec(text)?.[1] ?? ''
    if (names.trim() !== 'Type') throw new Error(`${file} imports {${names}} of typebox: add it to tools/vendor.ts`)
    const path = relative(dirname(file), bundled)
    writeFileSync(
      join(dist, file),
      text.replace("from 'typebox'", `from '${path.startsWith('.') ? path : `./${path}`}'`),
    )
  }
}
