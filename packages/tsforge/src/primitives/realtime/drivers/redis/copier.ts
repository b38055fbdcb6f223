import type { Clock } from '../../../../kernel/clock.ts'
import { uuidv7 } from '../../../../kernel/ids.ts'
import type { Log } from '../../../../kernel/log.ts'
import type { Redis, Reply } from '../../../redis/index.ts'
import type { EventLog, LoggedEvent, Position } from '../../driver.ts'
import type { Names } from './names.ts'
import { idOf, positionOfId } from './names.ts'
import * as scripts from './scripts.ts'

export interface CopierParts {
  readonly redis: Redis
  readonly events: EventLog
  readonly names: Names
  readonly clock: Clock
  readonly log: Log
  readonly length: number
}

const lockMs = 5000
const renewMs = 1500
const readLimit = 500
/** Of one command, so that it is answered well within its deadline. */
const chunkBytes = 256 * 1024

/**
 * Copies the log into the stream while it holds the lock, one process of all. Two at once do no harm: an id is added once, and
 * each entry says behind which position of the log it stands, so that readers see whatever is missing.
 */
export class Copier {
  readonly #parts: CopierParts
  readonly #holder = uuidv7()
  #stopped = false
  #woken = false
  #wake: (() => void) | undefined
  #running: Promise<void> | undefined
  #failing = false

  constructor(parts: CopierParts) {
    this.#parts = parts
  }

  start(): void {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#rouse()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      try {
        if (await this.#hold()) await this.#copy()
        this.#failing = false
      } catch (error) {
        if (!this.#failing) this.#parts.log.warn({ err: error }, 'events are not copied into Redis; trying again')
        this.#failing = true
      }
      if (!this.#stopped) await this.#rest(1000)
    }
    const { redis, names } = this.#parts
    await redis.script(scripts.letGo, [names.lock], [this.#holder]).catch(() => undefined)
  }

  async #hold(): Promise<boolean> {
    const { redis, names } = this.#parts
    return (await redis.script(scripts.hold, [names.lock], [this.#holder, String(lockMs)])) === 1
  }

  async #copy(): Promise<void> {
    const { events, clock } = this.#parts
    const unwatch = events.watch(() => this.#rouse())
    try {
      let position = await this.#last()
      let heldAt = clock.monotonic()
      while (!this.#stopped) {
        this.#woken = false
        const page = await events.read({ after: position, limit: readLimit })
        await this.#append(position, page.events)
        position = page.next
        if (clock.monotonic() - heldAt >= renewMs) {
          if (!(await this.#hold())) return
          heldAt = clock.monotonic()
        }
        if (page.end && !this.#woken) await this.#rest(renewMs)
      }
    } catch (error) {
      // The stream is of another log, or older than what the log keeps.
      if (String((error as { code?: unknown }).code).startsWith('events.position_')) await this.#forget()
      throw error
    } finally {
      unwatch()
    }
  }

  /** Where the copy ends; an empty one begins with what comes. */
  async #last(): Promise<Position> {
    const { redis, names, events } = this.#parts
    const reply = (await redis.command(['XREVRANGE', names.stream, '+', '-', 'COUNT', '1'])) as Reply[]
    const newest = reply[0] as [string, Reply[]] | undefined
    return newest === undefined ? events.head() : positionOfId(newest[0])
  }

  async #append(before: Position, events: readonly LoggedEvent[]): Promise<void> {
    const { redis, names, length } = this.#parts
    let after = before
    let chunk: string[] = []
    let bytes = 0
    const send = async (): Promise<void> => {
      if (chunk.length > 0)
        await redis.script(scripts.append, [names.stream], [names.channel, String(length), ...chunk])
      chunk = []
      bytes = 0
    }
    for (const event of events) {
      const json = JSON.stringify(event)
      chunk.push(idOf(event.sequence), after, json)
      after = event.sequence
      bytes += json.length
      if (bytes > chunkBytes) await send()
    }
    await send()
  }

  async #forget(): Promise<void> {
    const { redis, names } = this.#parts
    await redis.command(['UNLINK', names.stream])
  }

  #rouse(): void {
    this.#woken = true
    this.#wake?.()
  }

  #rest(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(ms, resolve)
      this.#wake = () => {
        timer.cancel()
        resolve()
      }
    })
  }
}
