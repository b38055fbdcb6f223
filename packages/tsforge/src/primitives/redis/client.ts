import type { Counter } from '../../kernel/metrics.ts'
import type { CommandArguments, RedisDriver, Reply } from './driver.ts'
import { redisErrors } from './errors.ts'
import type { RedisConnectionEvent } from './events.ts'
import { redisFault, serverError } from './faults.ts'
import { Lane } from './lane.ts'
import { Link } from './link.ts'
import type { CommandOptions, OnLost, Redis } from './redis.ts'
import type { Script } from './script.ts'
import type { ClientSettings } from './settings.ts'
import { Subscriptions } from './subscriptions.ts'
import { MessageLink } from './message-link.ts'

const renewEveryMs = 5000

/** The facade over a driver. */
export class RedisClient implements Redis {
  readonly cluster: boolean
  readonly deadlineMs: number
  readonly #driver: RedisDriver
  readonly #settings: ClientSettings
  readonly #link: Link
  readonly #subscriptions: Subscriptions
  readonly #open = new Set<() => Promise<void>>()
  readonly #errors: Counter | undefined
  #lane: Lane | undefined
  #triedOnce = false
  #renewedAt = Number.NEGATIVE_INFINITY
  #closed = false
  /** Commands of connections that have ended. */
  #sentBefore = 0

  constructor(driver: RedisDriver, settings: ClientSettings) {
    const { clock, connectMs, deadlineMs, metrics } = settings
    this.#driver = driver
    this.#settings = settings
    this.cluster = driver.cluster
    this.deadlineMs = deadlineMs
    this.#errors = metrics?.counter('forge_redis_errors_total', {
      help: 'Redis commands that failed',
      labelNames: ['code'],
    })
    const lost = metrics?.counter('forge_redis_connections_lost_total', {
      help: 'Redis connections that ended by themselves or were cut because an answer was overdue',
      labelNames: ['use'],
    })
    metrics?.gauge('forge_redis_ready', {
      help: '1 while commands are taken',
      collect: () => (this.#lane === undefined ? 0 : 1),
    })
    metrics?.gauge('forge_redis_commands', {
      help: 'Redis commands sent since the start',
      collect: () => this.#sentBefore + (this.#lane?.sent ?? 0),
    })
    metrics?.gauge('forge_redis_in_flight', {
      help: 'Redis commands without an answer',
      collect: () => this.#lane?.inFlight ?? 0,
    })
    const onEvent = (event: RedisConnectionEvent): void => {
      if (event.kind === 'lost') lost?.add(1, { use: event.use })
      settings.onEvent(event)
    }
    this.#settings = { ...settings, onEvent }
    this.#link = new Link({
      driver,
      clock,
      connectMs,
      onEvent,
      use: { kind: 'commands' },
      onUp: (wire) => {
        this.#lane = new Lane(wire, {
          clock,
          deadlineMs,
          onFault: (code) => this.#failed(code),
          onStall: () => this.#link.drop(redisErrors.error('redis.timeout')),
        })
      },
      onDown: () => {
        this.#sentBefore += this.#lane?.sent ?? 0
        this.#lane = undefined
      },
    })
    void this.#link.first.then(() => (this.#triedOnce = true))
    this.#subscriptions = new Subscriptions(driver, this.#settings)
  }

  get state(): Redis['state'] {
    return this.#closed ? 'closed' : this.#lane === undefined ? 'connecting' : 'ready'
  }

  command(args: CommandArguments, options?: CommandOptions): Promise<Reply> {
    const lane = this.#lane
    if (lane === undefined) return this.#whenConnected(args, options)
    if (options === undefined) return lane.send(args, false)
    return lane.send(args, options.buffers === true, options.deadlineMs)
  }

  async script(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    options?: CommandOptions,
  ): Promise<Reply> {
    const rest = [String(keys.length), ...keys, ...args]
    try {
      return await this.command(['EVALSHA', script.sha, ...rest], options)
    } catch (error) {
      if (!redisErrors.is(error, 'redis.command') || serverError(error.cause) !== 'NOSCRIPT') throw error
      return this.command(['EVAL', script.source, ...rest], options)
    }
  }

  async subscribe(channel: string, listener: (message: string) => void, onLost?: OnLost): Promise<() => Promise<void>> {
    this.#refuseClosed()
    return this.#subscriptions.add(channel, listener, onLost)
  }

  async track(
    prefixes: readonly string[],
    onInvalid: (keys: readonly string[] | null) => void,
    onLost: OnLost = () => {},
  ): Promise<() => Promise<void>> {
    this.#refuseClosed()
    if (this.cluster) throw redisErrors.error('redis.tracking_unsupported')
    const link: MessageLink = new MessageLink(this.#driver, this.#settings, {
      onLost,
      use: { kind: 'tracking', prefixes, onInvalid: (keys) => link.guard(() => onInvalid(keys)) },
    })
    const end = async (): Promise<void> => {
      this.#open.delete(end)
      await link.close()
    }
    this.#open.add(end)
    await link.first
    if (link.wire === undefined) link.guard(() => onLost('lost'))
    return end
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([this.#link.close(), this.#subscriptions.close(), ...[...this.#open].map((end) => end())])
  }

  #refuseClosed(): void {
    if (this.#closed) throw redisErrors.error('redis.unavailable')
  }

  #failed(code: string): void {
    this.#errors?.add(1, { code })
    if (code !== 'redis.read_only') return
    // After a failover the name may lead to another server by now; the old one keeps its connections open.
    const now = this.#settings.clock.monotonic()
    if (now - this.#renewedAt < renewEveryMs) return
    this.#renewedAt = now
    this.#link.drop(redisErrors.error('redis.read_only'))
  }

  /** The first connection is under way right after the start: no reason to fail yet. */
  async #whenConnected(args: CommandArguments, options?: CommandOptions): Promise<Reply> {
    if (!this.#triedOnce && !this.#closed) {
      await this.#link.first
      if (this.#lane !== undefined) return this.command(args, options)
    }
    const cause = this.#link.lastFailure
    const fault = redisFault(cause)
    this.#errors?.add(1, { code: fault.code })
    // A missing package is told as such, a refused password too; a connection that was cut is merely not there.
    const cut = redisErrors.is(fault, 'redis.timeout') || redisErrors.is(fault, 'redis.read_only')
    throw cut || this.#closed ? redisErrors.error('redis.unavailable', { cause }) : fault
  }
}
