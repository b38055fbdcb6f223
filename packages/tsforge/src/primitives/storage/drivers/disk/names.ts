import { createHash } from 'node:crypto'

/** Names of a file system are shorter than parts of keys once they are escaped. */
const longest = 200

export interface Place {
  /** Names of the folders from the root on; the first holds all objects. */
  readonly folders: readonly string[]
  readonly file: string
}

/**
 * Where an object lies. Folders begin with `d`, files with `f`, so that `a` and `a/b` can both exist and no name is one
 * that a system reserves; whatever is not a-z, 0-9, dot, dash or underscore is escaped, so that names differ on systems
 * that fold case or normal forms too. What gets too long for a name is named by its hash.
 */
export function placeOf(key: string): Place {
  const parts = key.split('/')
  const file = nameOf('f', parts.pop()!)
  return { folders: ['objects', ...parts.map((part) => nameOf('d', part))], file }
}

function nameOf(kind: 'd' | 'f', part: string): string {
  const escaped = part.replaceAll(/[^a-z0-9._-]/gu, (character) =>
    [...Buffer.from(character)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
  )
  if (escaped.length <= longest) return `${kind}_${escaped}`
  return `${kind}~${createHash('sha256').update(part).digest('hex')}`
}

export interface Named {
  readonly kind: 'd' | 'f'
  /** `undefined`: the name is a hash. */
  readonly part: string | undefined
}

/** What a name stands for; `undefined` for files that are not ours. */
export function readName(name: string): Named | undefined {
  const kind = name[0]
  if (kind !== 'd' && kind !== 'f') return undefined
  if (name[1] === '~') return { kind, part: undefined }
  if (name[1] !== '_') return undefined
  try {
    return { kind, part: decodeURIComponent(name.slice(2)) }
  } catch {
    return undefined
  }
}
