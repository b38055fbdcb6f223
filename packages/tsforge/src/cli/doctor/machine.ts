import { randomBytes } from 'node:crypto'
import { accessSync, constants, mkdirSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import type { Plan } from '../../host/plan.ts'
import { broken, fine } from './finding.ts'
import type { Finding } from './finding.ts'

export function nodeVersion(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const name = 'node'
  if (major < 22 || (major === 22 && minor < 18))
    return { name, state: 'failed', detail: process.version, fix: 'Install Node 22.18 or newer.' }
  if (major % 2 === 1)
    return { name, state: 'warning', detail: `${process.version} is a release without long-term support` }
  return fine(name, process.version)
}

/** `.forge/` holds the development secret and the embedded database. */
export function stateFolder({ app: { root, environment } }: Plan): Finding {
  const name = 'state folder'
  if (environment === 'production') return fine(name, 'not used in production')
  const folder = join(root, '.forge')
  try {
    mkdirSync(folder, { recursive: true })
    accessSync(folder, constants.W_OK)
    const probe = join(folder, `.probe-${randomBytes(4).toString('hex')}`)
    writeFileSync(probe, '')
    unlinkSync(probe)
    return fine(name, `${folder} is writable`)
  } catch (error) {
    return {
      ...broken(name, error),
      fix: 'Let the user that runs the app write to the app folder, or mount a volume at .forge.',
    }
  }
}

export function secretFile({ app, host }: Plan): Finding {
  const name = 'secret'
  if (host.secret !== undefined) return fine(name, 'FORGE_SECRET is set and strong enough')
  const file = join(app.root, '.forge', 'secret')
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return fine(name, 'will be made at the first start, in .forge/secret')
  if ((stat.mode & 0o077) !== 0)
    return { name, state: 'warning', detail: `${file} can be read by others`, fix: `chmod 600 ${file}` }
  return fine(name, '.forge/secret, readable by its owner alone')
}

/** Whose word on the caller's address is taken: limits, logs and throttles go by it. */
export function trustedProxies({ app, http }: Plan): Finding {
  const name = 'proxies'
  const { trustedProxies: trusted } = http
  if (trusted.length > 0) return fine(name, `X-Forwarded-For is believed of ${trusted.join(', ')}`)
  const detail = 'none is trusted: the caller is who connects'
  if (app.environment !== 'production') return fine(name, detail)
  return {
    name,
    state: 'warning',
    detail,
    fix: 'Behind a load balancer set FORGE_HTTP_TRUSTED_PROXIES to its addresses, or all callers share one limit; without one ignore this.',
  }
}

/** Free, or held by this very app. */
export async function portFree({ app, http }: Plan): Promise<Finding> {
  const name = 'port'
  const { host, port } = http
  if (port === 0) return fine(name, 'any free one')
  const code = await tryListen(host, port)
  if (code === undefined) return fine(name, `${port} is free`)
  if (code === 'EADDRINUSE' && (await isOurs(host, port, app.name))) return fine(name, `${port} is served by this app`)
  const detail =
    code === 'EADDRINUSE' ? `${port} is in use by another process` : `cannot listen on ${host}:${port} (${code})`
  return { name, state: 'failed', detail, fix: 'Choose another one with PORT, or another address with HOST.' }
}

function tryListen(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    server.listen({ host, port }, () => server.close(() => resolve(undefined)))
  })
}

async function isOurs(host: string, port: number, service: string): Promise<boolean> {
  const address = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  try {
    const answer = await fetch(`http://${address}:${port}/healthz`, { signal: AbortSignal.timeout(2000) })
    const body = (await answer.json()) as { data?: { service?: string } }
    return body.data?.service === service
  } catch {
    return false
  }
}
