import type { CommandArguments, OpenSettings, RedisWire, Reply } from '../../driver.ts'

/** What we use of a client of the package `redis` (5 or 6), so that one of yours fits whatever modules it has. */
export interface NodeRedisClient {
  readonly isOpen: boolean
  readonly isReady: boolean
  sendCommand(args: readonly (string | Buffer)[], options?: object): Promise<unknown>
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>
  unsubscribe(channel: string): Promise<unknown>
  on(event: string, listener: (...args: never[]) => void): unknown
  off(event: string, listener: (...args: never[]) => void): unknown
  duplicate(overrides?: object): NodeRedisClient
  connect(): Promise<unknown>
  destroy(): void
}

/** Settings of every connection that we open ourselves: what the package would do by itself is done by the facade. */
export const ownSettings = {
  RESP: 2,
  commandOptions: { timeout: undefined },
  disableOfflineQueue: true,
  maintNotifications: 'disabled',
} as const
const trackingSettings = { ...ownSettings, RESP: 3, emitInvalidate: true } as const

/** Replies as text or, of bulk strings (type `$`), as bytes. */
const text = { timeout: undefined, typeMapping: undefined }
const bytes = { timeout: undefined, typeMapping: { 36: Buffer } }

export function sendOptions(buffers: boolean): object {
  return buffers ? bytes : text
}

/** Opens a client that `make` makes. It is ours, so losing it or giving it up destroys it. */
export async function openClient(
  make: (settings: object) => NodeRedisClient,
  settings: OpenSettings,
): Promise<RedisWire> {
  const { use, signal, onEnd } = settings
  const client = make(use.kind === 'tracking' ? trackingSettings : ownSettings)
  let over = false
  const end = (cause: unknown): void => {
    if (over) return
    over = true
    // Not from inside of the client's own error handling: it goes on with the socket after its listeners.
    queueMicrotask(() => client.destroy())
    onEnd(cause)
  }
  const destroy = (): void => {
    over = true
    client.destroy()
  }
  client.on('error', end)
  // A client that was destroyed during its TCP handshake connects all the same: destroy it again.
  client.on('connect', () => over && queueMicrotask(() => client.destroy()))
  signal.addEventListener('abort', destroy, { once: true })
  try {
    await client.connect()
    if (use.kind === 'tracking') await listenForInvalidations(client, use.prefixes, use.onInvalid)
    else await client.sendCommand(['PING'], text)
  } catch (error) {
    destroy()
    throw error
  } finally {
    signal.removeEventListener('abort', destroy)
  }
  return new ClientWire(client, destroy)
}

/** The package switches tracking on key by key; broadcasting is another mode, and modes are not mixed. */
async function listenForInvalidations(
  client: NodeRedisClient,
  prefixes: readonly string[],
  onInvalid: (keys: readonly string[] | null) => void,
): Promise<void> {
  client.on('invalidate', (key: string | Buffer | null) => onInvalid(key === null ? null : [key.toString()]))
  await client.sendCommand(['CLIENT', 'TRACKING', 'OFF'], text)
  await client.sendCommand(
    ['CLIENT', 'TRACKING', 'ON', 'BCAST', ...prefixes.flatMap((prefix) => ['PREFIX', prefix])],
    text,
  )
}

class ClientWire implements RedisWire {
  readonly ordered = true
  readonly destroy: () => void
  readonly #client: NodeRedisClient

  constructor(client: NodeRedisClient, destroy: () => void) {
    this.#client = client
    this.destroy = destroy
  }

  send(args: CommandArguments, buffers: boolean): Promise<Reply> {
    // The settings of a client of ours are right for text, and merging none is a third of the facade's cost.
    return (buffers ? this.#client.sendCommand(args, bytes) : this.#client.sendCommand(args)) as Promise<Reply>
  }

  async subscribe(channel: string, listener: (message: string) => void): Promise<void> {
    await this.#client.subscribe(channel, listener)
  }

  async unsubscribe(channel: string): Promise<void> {
    await this.#client.unsubscribe(channel)
  }
}
