/**
 * Our whole set against raw node:http, against the same set by hand, bare Fastify, and the comparable sets of Fastify's
 * stock plugins, Hono, Express and NestJS. All servers run side by side; we alternate with each of them.
 */
import { checkAnswers, checkLog } from './answers.ts'
import type { Bench, Settings } from './bench.ts'
import { openDatabase } from './database.ts'
import { Calm } from './calm.ts'
import { Field, contestants, lines, metricsToken, ours, raw, register } from './field.ts'
import type { Contestant } from './field.ts'
import { load } from './load.ts'
import { leaveServerCore } from './processes.ts'
import type { Server } from './processes.ts'
import { requestsFor } from './requests.ts'
import { claim, median } from './statistics.ts'
import type { Claim } from './statistics.ts'
import { rivalTokens } from './tokens.ts'

async function run(settings: Settings): Promise<Claim[]> {
  leaveServerCore()
  const database = await openDatabase()
  const field = new Field(database.url)
  try {
    settings.note(`${database.version}; load from ${settings.generator}`)
    return [
      ...(await throughput(field, settings)),
      ...(await start(field, settings)),
      ...(await memory(field, settings)),
    ]
  } finally {
    field.remove()
    await database.remove()
  }
}

async function throughput(field: Field, { rounds, seconds, repetitions, note }: Settings): Promise<Claim[]> {
  const servers: Server[] = []
  const tokens = new Map<string, readonly string[]>()
  const answered = new Map<string, number>()
  const calm = new Calm(repetitions)
  const work = new Work()
  try {
    for (const contestant of contestants) {
      const server = await field.launch(contestant)
      servers.push(server)
      tokens.set(contestant.name, contestant === ours ? await register(server) : rivalTokens())
      await checkAnswers(server, contestant.extent, tokens.get(contestant.name)![0]!, metricsToken)
      note(`${contestant.name} does what it should`)
    }
    const [own, ...rivals] = servers as [Server, ...Server[]]
    const pairs: Pairs = new Map()
    for (const kind of requestsFor([]).map(({ name }) => name)) {
      const measure = (server: Server, round: number, duration: number): Promise<number> =>
        calm.measure(server, async () => {
          const requests = requestsFor(tokens.get(server.name)!).find(({ name }) => name === kind)!
          const before = server.cpuSeconds()
          const sent = await load(server.port, requests, duration, field.folder)
          work.add(kind, server, round, sent.requests, before)
          answered.set(server.name, (answered.get(server.name) ?? 0) + sent.requests)
          return sent.requestsPerSecond
        })
      for (const server of servers) await measure(server, -1, Math.max(2, seconds))
      for (let round = 0; round < rounds; round++) {
        for (const rival of rivals) {
          // One right after the other, since the machine is another one ten seconds later; who begins changes with each round.
          const turn = round % 2 === 0 ? [own, rival] : [rival, own]
          const rates = new Map<Server, number>()
          for (const server of turn) rates.set(server, await measure(server, round, seconds))
          const name = `${kind}.${rival.name}`
          pairs.set(name, [...(pairs.get(name) ?? []), [rates.get(own)!, rates.get(rival)!]])
        }
        note(`${kind}: round ${round + 1} of ${rounds}`)
      }
    }
    if (calm.disturbed > 0)
      note(`${calm.disturbed} measurements were kept although other programs were at work on the servers' core`)
    work.tell(note)
    return claimsOf(pairs, note)
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
    for (const { name, extent } of contestants) {
      const server = servers.find((candidate) => candidate.name === name)
      if (extent === 'set' && server !== undefined && answered.has(name))
        await checkLog(server, answered.get(name)!, lines)
    }
  }
}

/** Requests for each second of processor time: what is left to say on a machine that is not ours alone. */
class Work {
  readonly #sums = new Map<string, { requests: number; seconds: number }>()

  add(kind: string, server: Server, round: number, requests: number, before: number | undefined): void {
    const after = server.cpuSeconds()
    if (round < 0 || before === undefined || after === undefined) return
    const name = `${kind.padEnd(8)} ${server.name.padEnd(12)}`
    const sum = this.#sums.get(name) ?? { requests: 0, seconds: 0 }
    this.#sums.set(name, { requests: sum.requests + requests, seconds: sum.seconds + after - before })
  }

  tell(note: Settings['note']): void {
    for (const [name, { requests, seconds }] of this.#sums)
      note(`${name} ${Math.round(requests / seconds)} requests per CPU second`)
  }
}

/** Our rate and the rival's, by round, for each kind of request and rival. */
type Pairs = Map<string, (readonly [number, number])[]>

function claimsOf(pairs: Pairs, note: Settings['note']): Claim[] {
  return [...pairs].map(([name, rounds]) => {
    const [mine, theirs] = [rounds.map(([rate]) => rate), rounds.map(([, rate]) => rate)]
    note(`${name.padEnd(20)} ${Math.round(median(mine))} to ${Math.round(median(theirs))} requests per second`)
    return claim(`http.${name}`, mine, theirs)
  })
}

/** Start of the process to the first 200, with the database connected and, here, its migrations looked at. */
async function start(field: Field, { rounds, note }: Settings): Promise<Claim[]> {
  const times = { ours: [] as number[], raw: [] as number[] }
  const once = async (contestant: Contestant): Promise<number> => {
    const server = await field.launch(contestant)
    await server.stop()
    return server.startMs
  }
  await once(ours)
  await once(raw)
  for (let round = 0; round < rounds; round++) {
    times.ours.push(await once(ours))
    times.raw.push(await once(raw))
  }
  note(`start    ours ${times.ours.map(Math.round).join(' ')} ms, raw ${times.raw.map(Math.round).join(' ')} ms`)
  return [claim('http.start.raw', times.ours, times.raw)]
}

/** Resident memory after many requests of all three kinds. */
async function memory(field: Field, { memoryRequests, note }: Settings): Promise<Claim[]> {
  const after = async (contestant: Contestant, tokens: readonly string[]): Promise<number | undefined> => {
    const server = await field.launch(contestant)
    try {
      const kinds = requestsFor(tokens)
      let sent = 0
      for (const kind of kinds) {
        const enough = sent + memoryRequests / kinds.length
        while (sent < enough) sent += (await load(server.port, kind, 1, field.folder)).requests
      }
      return server.rss()
    } finally {
      await server.stop()
    }
  }
  const [mine, theirs] = [await after(ours, await registered(field)), await after(raw, rivalTokens())]
  if (mine === undefined || theirs === undefined) return []
  note(
    `rss      ours ${Math.round(mine / 2 ** 20)} MiB, raw ${Math.round(theirs / 2 ** 20)} MiB after ${memoryRequests} requests`,
  )
  return [claim('http.rss.raw', [mine], [theirs])]
}

/** Tokens from a server of their own: hashing passwords is none of the requests whose memory is measured. */
async function registered(field: Field): Promise<string[]> {
  const server = await field.launch(ours)
  try {
    return await register(server)
  } finally {
    await server.stop()
  }
}

export const bench: Bench = {
  bars: {
    'http.healthz.raw': { atLeast: 0.52 },
    'http.me.raw': { atLeast: 0.78 },
    'http.echo.raw': { atLeast: 0.62 },
    'http.healthz.fastify_set': { atLeast: 2 },
    'http.healthz.hono_set': { atLeast: 3.5 },
    'http.healthz.express_set': { atLeast: 5 },
    'http.healthz.nest_set': { atLeast: 5 },
    'http.start.raw': { atMost: 3 },
    'http.rss.raw': { atMost: 1.3 },
  },
  run,
}
