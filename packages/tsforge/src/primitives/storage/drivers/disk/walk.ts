import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { compareKeys } from '../../driver.ts'
import type { ObjectInfo } from '../../driver.ts'
import { readName } from './names.ts'

/** Holds the true name of a folder whose name is a hash. */
export const nameFile = '.name'

export interface Walk {
  readonly prefix: string
  readonly delimiter: '/' | undefined
  /** Only what comes behind it. */
  readonly after: string | undefined
  /** What describes the object in a file; `undefined` when it has gone meanwhile. */
  read(file: string): Promise<ObjectInfo | undefined>
}

export type Found = { readonly object: ObjectInfo } | { readonly folder: string }

interface Entry {
  readonly path: string
  /** Key of an object, or the beginning of the keys in a folder. */
  readonly key: string
  readonly folder: boolean
}

/** Objects below `folder`, whose keys begin with `base`, in the order of keys. Reads only folders that can hold some. */
export async function* walk(folder: string, base: string, wanted: Walk): AsyncGenerator<Found> {
  for (const { path, key, folder: isFolder } of await entriesOf(folder, base, wanted)) {
    if (!isFolder) {
      const object = await wanted.read(path)
      if (object !== undefined) yield { object }
    } else if (wanted.delimiter !== undefined && key.startsWith(wanted.prefix) && key !== wanted.prefix) {
      // A folder is there when an object is in it.
      for await (const _ of walk(path, key, { ...wanted, delimiter: undefined, after: undefined })) {
        yield { folder: key }
        break
      }
    } else yield* walk(path, key, wanted)
  }
}

async function entriesOf(folder: string, base: string, { prefix, delimiter, after, read }: Walk): Promise<Entry[]> {
  const names = await readdir(folder, { withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    // Removed meanwhile, with its last object.
    if (error.code === 'ENOENT') return []
    throw error
  })
  const entries: Entry[] = []
  for (const entry of names) {
    const named = readName(entry.name)
    // Links are not of our making: they are neither files nor folders here.
    if (named === undefined || !(named.kind === 'd' ? entry.isDirectory() : entry.isFile())) continue
    const path = join(folder, entry.name)
    const isFolder = named.kind === 'd'
    const part = named.part ?? (isFolder ? await nameOfFolder(path) : (await read(path))?.key.slice(base.length))
    if (part === undefined) continue
    const key = isFolder ? `${base}${part}/` : base + part
    if (!key.startsWith(prefix) && !(isFolder && prefix.startsWith(key))) continue
    if (after !== undefined && compareKeys(key, after) <= 0) {
      const within = isFolder && after.startsWith(key) && !(delimiter !== undefined && after === key)
      if (!within) continue
    }
    entries.push({ path, key, folder: isFolder })
  }
  return entries.sort((a, b) => compareKeys(a.key, b.key))
}

async function nameOfFolder(path: string): Promise<string | undefined> {
  return readFile(join(path, nameFile), 'utf8').catch(() => undefined)
}
