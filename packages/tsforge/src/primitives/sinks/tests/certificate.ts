import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A certificate of one name or address that only its own file vouches for. */
export interface Certificate extends Disposable {
  readonly keyFile: string
  readonly certFile: string
  readonly ca: string
}

export function certificate(name = 'DNS:localhost'): Certificate {
  const dir = mkdtempSync(join(tmpdir(), 'forge-tls-'))
  const [keyFile, certFile] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const names = ['-subj', '/CN=forge', '-addext', `subjectAltName=${name}`]
  const files = ['-keyout', keyFile, '-out', certFile]
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...files, ...names], { stdio: 'ignore' })
  return {
    keyFile,
    certFile,
    ca: readFileSync(certFile, 'utf8'),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }),
  }
}
