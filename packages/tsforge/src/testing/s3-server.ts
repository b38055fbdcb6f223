import { execFile, execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePort, removeFolder } from './server-process.ts'

/** An S3 of a test's own: Ceph's gateway over a store in memory, on loopback. */
export interface S3Server extends AsyncDisposable {
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }
  readonly pathStyle: true
  /** A bucket that pages of `origin` may use. */
  createBucket(name: string, origin?: string): Promise<void>
}

/** For hooks that start one. */
export const s3StartMs = 300_000

const binaries = ['ceph-mon', 'ceph-osd', 'radosgw', 'radosgw-admin', 'ceph', 'ceph-authtool', 'monmaptool']

/**
 * Whether suites that need a real S3 can run: `describe.runIf(hasS3)`. Debian has it: `apt-get install ceph-mon ceph-osd
 * radosgw`. Where FORGE_TEST_NO_SKIP is set one that is absent is an error, so that nothing skips itself unseen.
 */
export const hasS3: boolean = binaries.every((name) => {
  try {
    execFileSync('sh', ['-c', `command -v ${name}`], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})
if (!hasS3 && process.env['FORGE_TEST_NO_SKIP'] === '1')
  throw new Error('no S3 is installed (ceph-mon, ceph-osd, radosgw)')

const run = promisify(execFile)

/** Starts one, in about twelve seconds (a busy machine takes {@link s3StartMs} at most). Everything of it goes with it. */
export async function startS3(): Promise<S3Server> {
  const dir = mkdtempSync(join(tmpdir(), 'forge-s3-'))
  const [monitorPort, port] = [await freePort(), await freePort()]
  const children: ChildProcess[] = []
  const credentials = { accessKeyId: 'FORGETESTKEY', secretAccessKey: randomUUID() }
  const start = (name: string, ...args: string[]): ChildProcess => {
    const child = spawn(name, [...args, '-c', join(dir, 'ceph.conf'), '-f'], { stdio: 'ignore' })
    children.push(child.on('error', () => undefined))
    return child
  }
  const stop = async (): Promise<void> => {
    await Promise.all(
      children.map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
        const exited = new Promise((done) => child.once('exit', done))
        child.kill('SIGKILL')
        await exited
      }),
    )
    removeFolder(dir)
  }
  try {
    await prepare(dir, monitorPort, port)
    const conf = ['-c', join(dir, 'ceph.conf')]
    const admin = (...args: string[]): Promise<unknown> => run('ceph', [...conf, '-n', 'client.admin', ...args], limits)
    start('ceph-mon', '-i', 'a')
    await admin('auth', 'import', '-i', join(dir, 'keyring'))
    const osd = randomUUID()
    await admin('osd', 'new', osd, '0')
    await run('ceph-osd', [...conf, '-i', '0', '--mkfs', '--osd-uuid', osd], limits)
    start('ceph-osd', '-i', '0')
    const gateway = start('radosgw', '-n', 'client.rgw')
    const user = ['user', 'create', '--uid=forge', '--display-name=forge']
    const keys = [`--access-key=${credentials.accessKeyId}`, `--secret-key=${credentials.secretAccessKey}`]
    await run('radosgw-admin', [...conf, '-n', 'client.rgw', ...user, ...keys], limits)
    const endpoint = `http://127.0.0.1:${port}`
    await answering(endpoint, gateway, dir)
    const place = { endpoint, region: 'us-east-1', credentials }
    const createBucket = (name: string, origin?: string): Promise<void> => makeBucket(place, name, origin)
    return { ...place, pathStyle: true, createBucket, [Symbol.asyncDispose]: stop }
  } catch (error) {
    await stop()
    throw error
  }
}

type Place = Pick<S3Server, 'endpoint' | 'region' | 'credentials'>

async function makeBucket(place: Place, name: string, origin: string | undefined): Promise<void> {
  const { CreateBucketCommand, PutBucketCorsCommand, S3Client } = await import('@aws-sdk/client-s3')
  const client = new S3Client({ ...place, forcePathStyle: true })
  try {
    await client.send(new CreateBucketCommand({ Bucket: name }))
    if (origin === undefined) return
    const rule = {
      AllowedOrigins: [origin],
      AllowedMethods: ['GET', 'PUT', 'POST'],
      AllowedHeaders: ['*'],
      ExposeHeaders: ['ETag'],
    }
    await client.send(new PutBucketCorsCommand({ Bucket: name, CORSConfiguration: { CORSRules: [rule] } }))
  } finally {
    client.destroy()
  }
}

/** For one step of its start; a busy machine may take long. */
const limits = { timeout: 120_000 }

/** A monitor and one store in memory, whose keys (cephx) are made here: without any the gateway does not come up. */
async function prepare(dir: string, monitorPort: number, port: number): Promise<void> {
  for (const name of ['mon', 'osd', 'rgw']) mkdirSync(join(dir, name))
  const [cluster, keyring, map] = [randomUUID(), join(dir, 'keyring'), join(dir, 'monmap')]
  writeFileSync(join(dir, 'ceph.conf'), configuration(dir, cluster, monitorPort, port))
  const key = (name: string, ...caps: [string, string][]): Promise<unknown> =>
    run('ceph-authtool', [keyring, '--gen-key', '-n', name, ...caps.flatMap(([at, what]) => ['--cap', at, what])])
  await run('ceph-authtool', ['--create-keyring', keyring])
  await key('mon.', ['mon', 'allow *'])
  await key('client.admin', ['mon', 'allow *'], ['osd', 'allow *'])
  await key('osd.0', ['mon', 'allow profile osd'], ['osd', 'allow *'])
  await key('client.rgw', ['mon', 'allow rw'], ['osd', 'allow rwx'])
  const conf = ['-c', join(dir, 'ceph.conf')]
  const address = `[v2:127.0.0.1:${monitorPort}]`
  await run('monmaptool', [...conf, '--create', '--clobber', '--addv', 'a', address, '--fsid', cluster, map])
  await run('ceph-mon', [...conf, '-i', 'a', '--mkfs', '--monmap', map, '--keyring', keyring])
}

function configuration(dir: string, cluster: string, monitorPort: number, port: number): string {
  return `[global]
fsid = ${cluster}
mon host = v2:127.0.0.1:${monitorPort}
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = ${dir}/keyring
run dir = ${dir}
crash dir = ${dir}
admin socket = ${dir}/$name.asok
log file = ${dir}/$name.log
pid file = ${dir}/$name.pid
mon data = ${dir}/mon
mon data avail warn = 1
mon data avail crit = 1
mon allow pool size one = true
mon max pg per osd = 1000
osd data = ${dir}/osd
osd objectstore = memstore
memstore device bytes = 4294967296
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
rgw frontends = beast endpoint=127.0.0.1:${port}
rgw data = ${dir}/rgw
`
}

async function answering(endpoint: string, gateway: ChildProcess, dir: string): Promise<void> {
  const until = Date.now() + limits.timeout
  for (;;) {
    const answered = await fetch(endpoint).then(
      (answer) => answer.ok,
      () => false,
    )
    if (answered) return
    if (gateway.exitCode !== null || Date.now() > until)
      throw new Error(
        `the S3 of the tests does not answer\n${readFileSync(join(dir, 'client.rgw.log'), 'utf8').slice(-2000)}`,
      )
    await new Promise((wait) => setTimeout(wait, 50))
  }
}
