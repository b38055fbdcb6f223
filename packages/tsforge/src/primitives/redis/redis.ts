import { port } from '../../kernel/plugin.ts'
import type { Port } from '../../kernel/plugin.ts'
import type { CommandArguments, Reply } from './driver.ts'
import type { Script } from './script.ts'

export interface CommandOptions {
  /**
   * Instead of the connection's deadline. A longer one makes what is sent behind it wait as long, since a server
   * answers in order.
   */
  readonly deadlineMs?: number
  /** Bulk strings come as bytes, not as text. */
  readonly buffers?: boolean
}

/**
 * `lost`: from now on messages may be missed. `restored`: they come again, and those in between are gone. Whoever
 * keeps something that messages invalidate forgets all of it at both.
 */
export type OnLost = (state: 'lost' | 'restored') => void

/**
 * One Redis (or Valkey) server or cluster. Every method rejects with an error of `redisErrors` and with nothing else.
 * It connects by itself, again and again; while there is no connection every command fails at once.
 */
export interface Redis {
  readonly state: 'ready' | 'connecting' | 'closed'
  /** Keys are spread over several servers: keys of one script or command need one hash tag, and `track` is refused. */
  readonly cluster: boolean
  /** Of a command that is not answered, in milliseconds. */
  readonly deadlineMs: number
  /**
   * Sends one command. Before the first attempt to connect has ended it waits for that.
   * @throws `redis.unavailable` at once when not connected, or when the connection is lost before the answer (then the
   * command may have taken effect); `redis.timeout` after the deadline (likewise); `redis.read_only`,
   * `redis.out_of_memory`, and `redis.command` for other errors of the server.
   */
  command(args: CommandArguments, options?: CommandOptions): Promise<Reply>
  /** EVALSHA; the script is loaded when the server does not know it. Keys of a cluster share one hash tag. */
  script(
    script: Script,
    keys: readonly string[],
    args: readonly (string | Buffer)[],
    options?: CommandOptions,
  ): Promise<Reply>
  /**
   * Messages of a channel, over a connection that serves all subscriptions, is watched by pings, and subscribes again
   * by itself. The result unsubscribes. Resolves when the first attempt to subscribe has ended: when that failed,
   * `onLost('lost')` has been called, and further attempts go on.
   */
  subscribe(channel: string, listener: (message: string) => void, onLost?: OnLost): Promise<() => Promise<void>>
  /**
   * Keys with one of the prefixes that were written, deleted, evicted or expired, by whomever (this process included),
   * from client-side tracking in broadcast mode. `null`: all of them (FLUSHALL). Prefixes must not overlap. Resolves as
   * `subscribe` does.
   */
  track(
    prefixes: readonly string[],
    onInvalid: (keys: readonly string[] | null) => void,
    onLost?: OnLost,
  ): Promise<() => Promise<void>>
  /** What is in flight fails, every connection is closed. A client that was handed in stays open. */
  close(): Promise<void>
}

/** Undefined when the app has no Redis (REDIS_URL is not set). */
export const redisPort: Port<Redis | undefined> = port<Redis | undefined>('redis', () =>
  import('./plugin.ts').then((m) => m.redis()),
)
