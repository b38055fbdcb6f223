import type { Hasher } from './hasher.ts'
import { hashFloor } from './options.ts'

/** Parameters of Argon2id (RFC 9106). */
export interface Argon2Settings {
  readonly memoryBytes: number
  readonly passes: number
  readonly lanes: number
  /** Allows less than `hashFloor`. For tests. */
  readonly insecure?: boolean
}

const phc = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$/

/** Argon2id by `@node-rs/argon2`, loaded at the first hash: 16 bytes of salt, 32 of output. */
export function createArgon2(settings: Argon2Settings): Hasher {
  const weak =
    settings.memoryBytes < hashFloor.memoryBytes ||
    settings.passes < hashFloor.passes ||
    settings.lanes < hashFloor.lanes
  if (weak && settings.insecure !== true) {
    throw new RangeError(
      'Argon2id below 19 MiB of memory, 2 passes and 1 lane is refused; raise FORGE_ACCOUNTS_HASH_MEMORY and FORGE_ACCOUNTS_HASH_PASSES',
    )
  }
  const memoryCost = Math.ceil(settings.memoryBytes / 1024)
  // 2 is Algorithm.Argon2id, a const enum that exists in the declarations alone.
  const parameters = { algorithm: 2, memoryCost, timeCost: settings.passes, parallelism: settings.lanes, outputLen: 32 }
  return {
    hash: async (password) => (await import('@node-rs/argon2')).hash(password, parameters),
    verify: async (encoded, password) => {
      const argon2 = await import('@node-rs/argon2')
      return phc.test(encoded) ? argon2.verify(encoded, password) : false
    },
    outdated: (encoded) => {
      const [, memory, passes, lanes] = (phc.exec(encoded) ?? []).map(Number)
      if (memory === undefined || passes === undefined || lanes === undefined) return true
      return memory < memoryCost || passes < settings.passes || lanes < settings.lanes
    },
  }
}
