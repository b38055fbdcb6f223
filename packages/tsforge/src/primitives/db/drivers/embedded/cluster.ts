import { spawn } from 'node:child_process'
import { chown, mkdir, readFile, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { dbErrors } from '../../errors.ts'
import type { Binaries } from './binaries.ts'
import type { Identity } from './identity.ts'
import { credentialsOf, nobodyId, prefixOf } from './identity.ts'
import { alive } from './lock.ts'
import type { Places } from './places.ts'

/**
 * Makes the data folder when there is none. It is built beside its place and moved there when complete, so a run
 * that was killed leaves a folder with another name, which the next run removes.
 */
export async function ensureCluster(
  places: Places,
  binaries: Binaries,
  identity: Identity,
  signal?: AbortSignal,
): Promise<void> {
  const version = await readFile(join(places.data, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version !== undefined) {
    if (Number.parseInt(version, 10) === binaries.major) return
    throw dbErrors.error('db.embedded_version', { meta: { found: version.trim(), installed: String(binaries.major) } })
  }
  await sweep(places)
  const temporary = `${places.data}.new-${process.pid}`
  await rm(temporary, { recursive: true, force: true })
  await mkdir(temporary, { mode: 0o700 })
  if (identity === 'nobody') await chown(temporary, nobodyId, nobodyId)
  await initialize(temporary, binaries, identity, signal)
  // Only an incomplete folder can be in the way: a complete one has PG_VERSION.
  if (
    await stat(places.data).then(
      () => true,
      () => false,
    )
  )
    await rename(places.data, `${places.data}.incomplete-${process.pid}`)
  await rename(temporary, places.data)
}

async function sweep({ home, data }: Places): Promise<void> {
  for (const name of await readdir(home)) {
    const owner = name.startsWith(`${basename(data)}.new-`) ? Number(name.slice(name.lastIndexOf('-') + 1)) : undefined
    if (owner !== undefined && (owner === process.pid || !alive(owner)))
      await rm(join(home, name), { recursive: true, force: true })
  }
}

function initialize(data: string, binaries: Binaries, identity: Identity, signal?: AbortSignal): Promise<void> {
  const args = [
    ...[
      '--pgdata',
      data,
      '--username',
      'postgres',
      '--auth',
      'trust',
      '--encoding',
      'UTF8',
      '--no-sync',
      '--no-instructions',
    ],
    // The server's own C.UTF-8: the same order on every machine, whatever locales it has.
    ...(binaries.major >= 17
      ? ['--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8', '--locale', 'C']
      : ['--locale', 'C']),
  ]
  const [command, ...rest] = [...prefixOf(identity), binaries.initdb, ...args]
  return new Promise((resolve, reject) => {
    const child = spawn(command!, rest, {
      ...credentialsOf(identity),
      // Its own group: Ctrl-C must not leave half a folder, and the environment must not change its choices.
      detached: true,
      cwd: '/',
      env: { PATH: process.env.PATH ?? '/usr/bin:/bin', TZ: 'UTC', LC_ALL: 'C' },
      stdio: ['ignore', 'ignore', 'pipe'],
      signal,
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4000)))
    child.once('error', reject)
    child.once('close', (code) => {
      if (code === 0) return resolve()
      reject(
        dbErrors.error('db.embedded_failed', { meta: { reason: 'initdb did not finish' }, cause: new Error(said) }),
      )
    })
  })
}
