import type * as nodeHttp from 'node:http'
import type { Agent, AgentOptions } from 'node:http'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { bytesRead } from '../../dead-bytes.ts'

const bufferBytes = 64 * 1024
/** The less, the more often V8 looks: with this a gigabyte adds 30 to 50 MB and costs 4 % of the speed, where the network does not. */
const deadBytes = 20 * 2 ** 20
const settings: AgentOptions = { keepAlive: true, maxSockets: 50 }

export interface ReadingAgents {
  readonly httpAgent: Agent
  readonly httpsAgent: Agent
}

/**
 * Agents for downloads: a connection reads into one buffer, again and again, in place of a new one for each read. The
 * parser copies bodies out of it, so of each byte there is one copy instead of two. Undefined where the parser does not.
 */
export async function readingAgents(): Promise<ReadingAgents | undefined> {
  const [http, https] = [process.getBuiltinModule('node:http'), process.getBuiltinModule('node:https')]
  if (!(await (copied ??= copiesBodies(http)))) return undefined
  return { httpAgent: intoOneBuffer(new http.Agent(settings)), httpsAgent: intoOneBuffer(new https.Agent(settings)) }
}

function intoOneBuffer(agent: Agent): Agent {
  const connect = agent.createConnection.bind(agent)
  agent.createConnection = (options, created) => {
    const callback = (length: number, buffer: Uint8Array): boolean => {
      bytesRead(length, deadBytes)
      // Nobody waits for them: bytes of an answer that was not asked for must not begin the next one.
      if (!socket.emit('data', buffer.subarray(0, length))) socket.destroy()
      return true
    }
    const onread = { buffer: Buffer.allocUnsafeSlow(bufferBytes), callback }
    const socket = connect({ ...options, onread } as typeof options, created) as Socket
    return socket
  }
  return agent
}

let copied: Promise<boolean> | undefined

/** Whether pieces of a body have memory of their own. They do, but nothing promises that they always will. */
function copiesBodies(http: typeof nodeHttp): Promise<boolean> {
  const answer = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx')
  const line = new Duplex({
    read: () => undefined,
    write(_chunk, _encoding, done) {
      this.push(answer)
      done()
    },
  })
  return new Promise((resolve) => {
    const request = http.get({ createConnection: () => line })
    request.on('error', () => resolve(false))
    request.on('response', (response) => {
      response.on('error', () => undefined)
      response.once('data', (piece: Buffer) => {
        resolve(piece.buffer !== answer.buffer)
        request.destroy()
      })
    })
  })
}
