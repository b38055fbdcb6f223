import pg from 'pg'
import type { Client, ClientConfig } from 'pg'
import type { Clock, Timer } from '../../../kernel/clock.ts'
import { tellConnection } from '../events.ts'
import { isConnectionLoss, translate } from '../faults.ts'
import { sessionOf } from './session.ts'

export interface SilenceSettings {
  /** How to reach the server anew. */
  readonly config: ClientConfig
  readonly clock: Clock
  /** A connection that owes an answer and says nothing for so long is looked at. */
  readonly quietMs: number
}

interface Mark {
  readonly awaiting: object
  readonly bytes: number
  readonly since: number
}

/**
 * Finds connections whose peer has vanished without a word: a fail-over that took the address along, a firewall that
 * forgot. TCP itself gives up after a quarter of an hour, and until then each of them would hold a place in the pool.
 * A long statement is silent, too, so the server is asked, over a connection of its own, whether it still works on it.
 */
export class SilenceWatch {
  readonly #settings: SilenceSettings
  readonly #clients = new Map<Client, Mark | undefined>()
  #timer: Timer | undefined
  #looking = false

  constructor(settings: SilenceSettings) {
    this.#settings = settings
  }

  add(client: Client): void {
    const { clock, quietMs } = this.#settings
    this.#clients.set(client, undefined)
    this.#timer ??= clock.every(quietMs / 2, () => this.#look())
  }

  remove(client: Client): void {
    this.#clients.delete(client)
    if (this.#clients.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #look(): void {
    const now = this.#settings.clock.monotonic()
    const silent: Client[] = []
    for (const [client, mark] of this.#clients) {
      const { awaiting } = sessionOf(client)
      const bytes = streamOf(client).bytesRead
      if (awaiting === undefined) this.#clients.set(client, undefined)
      else if (mark?.awaiting !== awaiting || mark.bytes !== bytes)
        this.#clients.set(client, { awaiting, bytes, since: now })
      else if (now - mark.since >= this.#settings.quietMs) silent.push(client)
    }
    if (silent.length === 0 || this.#looking) return
    this.#looking = true
    void this.#examine(silent).finally(() => (this.#looking = false))
  }

  async #examine(silent: readonly Client[]): Promise<void> {
    const marks = silent.map((client) => this.#clients.get(client))
    const atWork = await this.#atWork(silent.map(processOf))
    if (atWork === undefined) return
    for (const [i, client] of silent.entries()) {
      const mark = marks[i]
      const stillSilent = sessionOf(client).awaiting === mark?.awaiting && streamOf(client).bytesRead === mark?.bytes
      if (atWork.has(processOf(client)) || !stillSilent) continue
      const cause = new Error('the connection had been silent while the server was not at work for it')
      tellConnection({ kind: 'lost', cause })
      streamOf(client).destroy(cause)
    }
  }

  /** Which of these server processes work on something; none when there is no server; `undefined` when nobody can tell. */
  async #atWork(pids: readonly number[]): Promise<ReadonlySet<number> | undefined> {
    const { config, quietMs } = this.#settings
    const client = new pg.Client({ ...config, query_timeout: config.connectionTimeoutMillis ?? 5000 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      const { rows } = await client.query<{ own: number; busy: number[] }>(
        `select pg_backend_pid() as own, coalesce(array_agg(pid), '{}') as busy from pg_stat_activity
         where pid = any($1::int[]) and (state is null or state not like 'idle%' or state_change > now() - $2 * interval '1 millisecond')`,
        [pids, quietMs],
      )
      // Behind a pooler the numbers that we know are its own.
      return rows[0]?.own === processOf(client) ? new Set(rows[0].busy) : undefined
    } catch (error) {
      return isConnectionLoss(translate(error)) ? new Set() : undefined
    } finally {
      client.end().catch(() => undefined)
    }
  }
}

function streamOf(client: Client): { readonly bytesRead: number; destroy(error?: Error): void } {
  return (client as unknown as { connection: { stream: { bytesRead: number; destroy(error?: Error): void } } })
    .connection.stream
}

function processOf(client: Client): number {
  return (client as unknown as { processID: number }).processID
}
