/** What Redis answers, in the types of RESP2: bulk and simple strings, integers, nil and arrays of these. */
export type Reply = string | number | Buffer | null | Reply[]

export type CommandArguments = readonly (string | Buffer)[]

/** What a connection is for. */
export type WireUse =
  | { readonly kind: 'commands' }
  | { readonly kind: 'messages' }
  /** Invalidation messages of client-side caching come in; `null` means every key. */
  | { readonly kind: 'tracking'; readonly prefixes: readonly string[]; onInvalid(keys: readonly string[] | null): void }

export interface OpenSettings {
  readonly use: WireUse
  /** Counted from 0; a driver with several addresses takes the next one at each attempt. */
  readonly attempt: number
  /** Aborted when the attempt has taken too long: whatever was opened is closed then. */
  readonly signal: AbortSignal
  /** Called once when an opened connection has ended without being asked to. */
  onEnd(cause: unknown): void
}

/** One connection that has shaken hands. It never comes back by itself: the next one is opened in its place. */
export interface RedisWire {
  /** Replies come in the order of the commands. False for what is several connections in truth (a cluster). */
  readonly ordered: boolean
  /** Rejects with the server's error, or with the reason of the loss, as the package throws them. */
  send(args: CommandArguments, buffers: boolean): Promise<Reply>
  /** Of connections for messages. Further listeners of a channel are the business of the facade. */
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
  unsubscribe(channel: string): Promise<void>
  /** Cuts the connection; everything in flight rejects at once. `onEnd` is not called. */
  destroy(): void
}

/** Opens connections. All policy (deadlines, coming back, subscribing again) lives in the facade. */
export interface RedisDriver {
  readonly name: string
  /** Keys are spread over several servers: a script's keys need one hash tag, and there is no tracking. */
  readonly cluster: boolean
  /** Loads the code that it needs; awaited before the first attempt, whose time limit is for the network alone. */
  load?(): Promise<unknown>
  /** Resolves when the server has answered, and not merely accepted, the connection. */
  open(settings: OpenSettings): Promise<RedisWire>
}
