import type { ClientSettings } from './settings.ts'
import type { RedisDriver, RedisWire } from './driver.ts'
import { MessageLink } from './message-link.ts'
import type { OnLost } from './redis.ts'

interface Subscriber {
  readonly listener: (message: string) => void
  readonly onLost: OnLost
}

/** All subscriptions of a client, over one connection which is opened for the first and closed after the last. */
export class Subscriptions {
  readonly #driver: RedisDriver
  readonly #settings: ClientSettings
  readonly #channels = new Map<string, Set<Subscriber>>()
  #link: MessageLink | undefined

  constructor(driver: RedisDriver, settings: ClientSettings) {
    this.#driver = driver
    this.#settings = settings
  }

  async add(
    channel: string,
    listener: (message: string) => void,
    onLost: OnLost = () => {},
  ): Promise<() => Promise<void>> {
    const subscriber: Subscriber = { listener, onLost }
    const known = this.#channels.get(channel)
    if (known === undefined) this.#channels.set(channel, new Set([subscriber]))
    else known.add(subscriber)
    const link = (this.#link ??= this.#open())
    // A connection that is not up yet will take all channels; so will the next one, when this one fails here.
    const up = link.wire
    if (up === undefined) await link.first
    else if (known === undefined) await this.#subscribe(up, channel).catch((cause: unknown) => link.drop(cause))
    if (link.wire === undefined) link.guard(() => onLost('lost'))
    return () => this.#remove(channel, subscriber)
  }

  async close(): Promise<void> {
    const link = this.#link
    this.#link = undefined
    this.#channels.clear()
    await link?.close()
  }

  #open(): MessageLink {
    return new MessageLink(this.#driver, this.#settings, {
      use: { kind: 'messages' },
      onUp: async (wire) => {
        for (const channel of this.#channels.keys()) await this.#subscribe(wire, channel)
      },
      onLost: (state) => {
        for (const subscribers of this.#channels.values())
          for (const { onLost } of subscribers) this.#link?.guard(() => onLost(state))
      },
    })
  }

  async #subscribe(wire: RedisWire, channel: string): Promise<void> {
    await wire.subscribe(channel, (message) => {
      for (const { listener } of this.#channels.get(channel) ?? []) this.#link?.guard(() => listener(message))
    })
  }

  async #remove(channel: string, subscriber: Subscriber): Promise<void> {
    const subscribers = this.#channels.get(channel)
    if (subscribers?.delete(subscriber) !== true || subscribers.size > 0) return
    this.#channels.delete(channel)
    const link = this.#link
    if (this.#channels.size > 0) return void (await link?.wire?.unsubscribe(channel).catch(() => undefined))
    this.#link = undefined
    await link?.close()
  }
}
