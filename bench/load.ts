import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasWrk } from './processes.ts'

/** The requests of one kind that a round sends, in turn. */
export interface Requests {
  readonly name: string
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** Headers of each request of the turn; more than one for many users. */
  readonly headers: readonly Readonly<Record<string, string>>[]
  readonly body?: string
}

export interface Load {
  readonly requestsPerSecond: number
  readonly requests: number
}

export const connections = 64

/** Sends requests for `seconds` over 64 connections and counts the answers; an answer that is not 200 is an error. */
export async function load(
  port: number,
  requests: Requests,
  seconds: number,
  folder: string,
  generator: 'wrk' | 'node' = hasWrk ? 'wrk' : 'node',
): Promise<Load> {
  const result = await (generator === 'wrk' ? byWrk : byNode)(port, requests, seconds, folder)
  if (result.errors > 0)
    throw new Error(`${requests.name} on port ${port}: ${result.errors} of ${result.requests} answers were not 200`)
  return { requests: result.requests, requestsPerSecond: result.requests / result.seconds }
}

interface Counted {
  readonly requests: number
  readonly errors: number
  readonly seconds: number
}

async function byWrk(port: number, requests: Requests, seconds: number, folder: string): Promise<Counted> {
  const script = join(folder, `${requests.name}.lua`)
  writeFileSync(script, luaOf(requests))
  // wrk takes whole seconds; the summary tells the time that really passed.
  const url = `http://127.0.0.1:${port}`
  const output = await run('wrk', [
    '-t1',
    `-c${connections}`,
    `-d${Math.max(1, Math.round(seconds))}s`,
    '-s',
    script,
    url,
  ])
  return JSON.parse(output.slice(output.lastIndexOf('{'))) as Counted
}

function luaOf({ method, path, headers, body }: Requests): string {
  const text = (value: string): string => `"${value.replaceAll(/["\\]/g, '\\$&')}"`
  const table = (values: Readonly<Record<string, string>>): string =>
    `{${Object.entries(values)
      .map(([name, value]) => `[${text(name)}]=${text(value)}`)
      .join(',')}}`
  const formats = headers.map(
    (values) => `wrk.format("${method}", "${path}", ${table(values)}, ${body === undefined ? 'nil' : text(body)})`,
  )
  return `
local requests = {}
local turn = 0
function init() requests = {${formats.join(',')}} end
function request() turn = turn % #requests + 1; return requests[turn] end
function done(summary)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"errors":%d,"seconds":%f}', summary.requests, e.status + e.connect + e.read + e.write + e.timeout, summary.duration / 1e6))
end
`
}

async function byNode(port: number, requests: Requests, seconds: number, folder: string): Promise<Counted> {
  const file = join(folder, `${requests.name}.json`)
  writeFileSync(file, JSON.stringify({ port, connections, seconds, ...requests }))
  return JSON.parse(await run(process.execPath, [join(import.meta.dirname, 'generator.ts'), file])) as Counted
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(`${command}: ${stderr || error.message}`)),
    )
  })
}
