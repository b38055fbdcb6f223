/**
 * Node spends about a third of a millisecond on each module that it loads. The built package has one file per door
 * (`exports` entry) and shared chunks between them, with TypeBox (373 small modules) inside: starting takes a quarter
 * less than with one file per module. Nothing else is bundled: other packages stay imports.
 */
import { cpSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { rolldown } from 'rolldown'
import { root } from './workspace.ts'

/** Stands for `import.meta.url` of the module that it names, until it is known in which chunk that module lies. */
const locator = '__urlOfModule'

/** Bundles `files` (relative to the folder `src`) and what they import into `dist`, under their own names. */
export async function bundle(src: string, files: readonly string[], dist: string): Promise<void> {
  const bundled = await rolldown({
    input: Object.fromEntries(files.map((file) => [file.replace(/\.ts$/, ''), join(src, file)])),
    platform: 'node',
    external: (id) => !/^(?:[./]|typebox(?:\/|$))/.test(id),
    onLog: (level, log) => {
      // A port names its standard plugin lazily, and the module's index.ts has it too.
      if (level === 'warn' && log.code !== 'INEFFECTIVE_DYNAMIC_IMPORT') throw new Error(log.message)
    },
    plugins: [
      {
        name: 'module-urls',
        transform: {
          filter: { code: 'import.meta.url' },
          handler: (code, id) => {
            const place = JSON.stringify(relative(src, id).replace(/\.ts$/, '.js'))
            // Lines stay where they are, which is what the map is read for.
            return { code: code.replaceAll('import.meta.url', `${locator}(${place})`), map: null }
          },
        },
        renderChunk: (code, { fileName }) => ({
          code: code.replaceAll(new RegExp(`${locator}\\("([^"]+)"\\)`, 'g'), (_, place: string) => {
            const path = relative(dirname(fileName), place)
            return `new URL(${JSON.stringify(path.startsWith('.') ? path : `./${path}`)}, import.meta.url).href`
          }),
          map: null,
        }),
      },
    ],
  })
  await bundled.write({
    dir: dist,
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    codeSplitting: {
      // Every app needs most of these: one file each, and not one for every set of doors that share something.
      groups: [
        { name: 'kernel', test: /\/src\/kernel\//, priority: 2 },
        { name: 'db', test: /\/src\/primitives\/db\/(?!contract|drizzle|kysely|drivers|pg\/|tests)/, priority: 1 },
      ],
    },
  })
  await bundled.close()
  cpSync(join(root, 'node_modules/typebox/license'), join(dist, 'chunks/typebox.license'))
}
