import { connect } from 'node:net'

/** Sends bytes on a socket of their own and returns everything that comes back until the server closes (or `until` is seen). */
export function wire(
  origin: string,
  sent: string | Buffer | readonly (string | Buffer)[],
  until?: RegExp,
): Promise<string> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let received = ''
    socket.on('connect', () => {
      for (const part of Array.isArray(sent) ? (sent as readonly (string | Buffer)[]) : [sent as string])
        socket.write(part)
    })
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      if (until?.test(received) === true) {
        socket.destroy()
        resolve(received)
      }
    })
    socket.on('close', () => resolve(received))
    // A reset after the answer is the answer all the same.
    socket.on('error', (error) => (received === '' ? reject(error) : resolve(received)))
  })
}

/** Status codes of all answers in `text`, in order. */
export function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]))
}
