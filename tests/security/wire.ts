import { connect } from 'node:net'

/** Sends bytes on a socket of their own; resolves with all that comes back until the server closes. */
export function wire(origin: string, sent: string | Buffer): Promise<string> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(sent))
    let received = ''
    socket.on('data', (chunk) => (received += chunk.toString('latin1')))
    socket.on('close', () => resolve(received))
    // A reset behind the answer does not unsay it.
    socket.on('error', (error) => (received === '' ? reject(error) : resolve(received)))
  })
}

/** One request, its lines as given, on a connection that ends with the answer. */
export function request(origin: string, start: string, headers: readonly string[] = [], body = ''): Promise<string> {
  return wire(origin, [`${start} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...headers, '', body].join('\r\n'))
}

export function statusOf(answer: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1])
}
