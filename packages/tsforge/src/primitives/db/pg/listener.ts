import pg from 'pg'
import type { Client, ClientConfig } from 'pg'
import type { Clock, Timer } from '../../../kernel/clock.ts'
import { backoffMs } from '../../../kernel/resilience/retry.ts'
import type { Notification } from '../driver.ts'
import { tellConnection } from '../events.ts'
import { dbFault, translate } from '../faults.ts'
import { PgConnection } from './connection.ts'

/** How often the connection is asked whether it still lives; a dead peer does not say so by itself. */
const heartbeatMs = 15_000
const heartbeatDeadlineMs = 10_000

/** Where to connect; asked at each connection. */
export type DirectConfig = () => ClientConfig | Promise<ClientConfig>

/** The connection; statements asked for at once queue in `statements`. */
interface Link {
  readonly client: Client
  readonly statements: PgConnection
}

interface Subscriber {
  readonly onNotify: (n: Notification) => void
  readonly onGap: () => void
}

/**
 * One connection for all channels. After a loss it comes back by itself, listens again and tells every subscriber
 * that there was a gap: PostgreSQL keeps no notification for those who are away.
 */
export class Listener {
  readonly #config: DirectConfig
  readonly #clock: Clock
  readonly #channels = new Map<string, Set<Subscriber>>()
  #link: Link | undefined
  #opening: Promise<Link> | undefined
  #heartbeat: Timer | undefined
  #restoring = false
  readonly #stop = new AbortController()

  constructor(config: DirectConfig, clock: Clock) {
    this.#config = config
    this.#clock = clock
  }

  async listen(channel: string, onNotify: (n: Notification) => void, onGap: () => void): Promise<() => Promise<void>> {
    const subscriber: Subscriber = { onNotify, onGap }
    const subscribers = this.#channels.get(channel) ?? new Set()
    this.#channels.set(channel, subscribers)
    subscribers.add(subscriber)
    try {
      const { statements } = await this.#connected()
      await statements.query(`listen ${pg.escapeIdentifier(channel)}`)
    } catch (error) {
      await this.#leave(channel, subscriber)
      throw translate(error)
    }
    return () => this.#leave(channel, subscriber)
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort(new Error('the listener is closed'))
    this.#channels.clear()
    const link = this.#link ?? (await this.#opening?.catch(() => undefined))
    this.#drop()
    await link?.client.end().catch(() => undefined)
  }

  async #leave(channel: string, subscriber: Subscriber): Promise<void> {
    const subscribers = this.#channels.get(channel)
    if (subscribers?.delete(subscriber) !== true || subscribers.size > 0) return
    this.#channels.delete(channel)
    // When the connection is down there is nothing to take back.
    await this.#link?.statements.query(`unlisten ${pg.escapeIdentifier(channel)}`).catch(() => undefined)
  }

  #connected(): Promise<Link> {
    if (this.#stop.signal.aborted) return Promise.reject(dbFault('db.unavailable', this.#stop.signal.reason))
    if (this.#link !== undefined) return Promise.resolve(this.#link)
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined))
    return this.#opening
  }

  async #open(): Promise<Link> {
    const client = new pg.Client(await this.#config())
    client.on('notification', ({ channel, payload }) => {
      for (const { onNotify } of this.#channels.get(channel) ?? []) onNotify({ channel, payload: payload ?? '' })
    })
    client.on('error', () => undefined) // 'end' follows
    await client.connect()
    const link: Link = {
      client,
      statements: new PgConnection(
        client,
        () => undefined,
        undefined,
        () => false,
      ),
    }
    this.#link = link
    client.once('end', () => this.#onLoss(link))
    this.#heartbeat?.cancel()
    this.#heartbeat = this.#clock.every(heartbeatMs, () => this.#beat(link))
    return link
  }

  #beat({ client, statements }: Link): void {
    const deadline = this.#clock.after(heartbeatDeadlineMs, () => destroy(client))
    statements.query('select 1').then(deadline.cancel, deadline.cancel)
  }

  #onLoss(link: Link): void {
    if (this.#link !== link) return
    this.#drop()
    if (this.#stop.signal.aborted || this.#restoring) return
    tellConnection({ kind: 'listener_lost' })
    this.#restoring = true
    void this.#restore().finally(() => (this.#restoring = false))
  }

  #drop(): void {
    this.#link = undefined
    this.#heartbeat?.cancel()
  }

  async #restore(): Promise<void> {
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      try {
        await this.#clock.sleep(backoffMs(attempt, { baseMs: 50, capMs: 5000 }), this.#stop.signal)
        if (this.#channels.size === 0) return
        const link = await this.#connected()
        await link.statements.query(
          [...this.#channels.keys()].map((channel) => `listen ${pg.escapeIdentifier(channel)}`).join('; '),
        )
        if (this.#link === link) break
      } catch {
        // Still down; or somebody answers who cannot listen, such as a standby before its promotion.
        if (this.#link !== undefined) destroy(this.#link.client)
        this.#drop()
      }
    }
    this.#restoring = false
    if (this.#stop.signal.aborted) return
    tellConnection({ kind: 'listener_restored' })
    for (const subscribers of this.#channels.values()) for (const { onGap } of subscribers) onGap()
  }
}

function destroy(client: Client): void {
  ;(client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
}
