import { isIP } from 'node:net'
import { checkServerIdentity } from 'node:tls'
import type { PeerCertificate } from 'node:tls'
import type { JetStreamClient, JetStreamManager, StreamConfig } from '@nats-io/jetstream'
import type { MsgHdrs, NatsConnection, NodeConnectionOptions } from '@nats-io/transport-node'
import type { Outcome, SinkDriver, SinkMessage } from '../driver.ts'
import { asError, loaded, refuseOption, unreachable } from '../errors.ts'
import { Held } from '../held.ts'

export interface NatsSinkOptions {
  /** `nats://user:password@host:4222`, `tls://` for TLS, `nats://token@host`; several are servers of one cluster. */
  readonly url?: string | readonly string[]
  /** A connection of your own, which is not closed, and whose coming back is its own. */
  readonly connection?: NatsConnection
  /** Name of the stream that stores the events: what another one stores is not confirmed. */
  readonly stream: string
  /** Makes the stream where there is none, e.g. `{ subjects: ['order.>'], num_replicas: 3 }`. */
  readonly create?: Partial<StreamConfig>
  readonly tls?: NonNullable<NodeConnectionOptions['tls']>
  /** E.g. `credsAuthenticator`, for NKeys, JWTs and tokens that change. */
  readonly authenticator?: NodeConnectionOptions['authenticator']
  /** For one attempt to connect. Default 5 s. */
  readonly connectMs?: number
}

interface Link {
  readonly connection: NatsConnection
  readonly stream: JetStreamClient
  readonly headers: () => MsgHdrs
  /** Makes sure of the stream, once and after it was missing. */
  readonly ready: Held<void>
}

/** The deadline is the sink's; this one only cleans up behind a connection of yours that hangs. */
const answerMs = 60_000

/**
 * NATS JetStream: each event is published by its id as `Nats-Msg-Id`, so that what is sent twice within `duplicate_window` is
 * stored once, and confirmed by a PubAck of the stream. Needs `@nats-io/jetstream` and `@nats-io/transport-node`.
 */
export function nats(options: NatsSinkOptions): SinkDriver {
  const { stream, connection } = options
  if (stream === '') refuseOption('stream', 'is missing')
  const servers = connection === undefined ? serversOf(options) : undefined
  const held = new Held(
    async () => openLink(options, servers),
    async (link) => {
      if (connection === undefined) await link.connection.close()
    },
  )
  const sendOne = async (link: Link, message: SinkMessage): Promise<Outcome> => {
    try {
      const settings = { msgID: message.id, expect: { streamName: stream }, headers: headersOf(link, message) }
      await link.stream.publish(message.to, message.body, { ...settings, timeout: answerMs })
      return 'confirmed'
    } catch (fault) {
      return faultOf(link, fault)
    }
  }
  const faultOf = (link: Link, fault: unknown): Error => {
    if (link.connection.isClosed()) {
      held.drop(link)
      return unreachable(fault)
    }
    // No stream takes the subject. A server that has lost its stream gets it again with the next batch.
    if (asError(fault).name === 'JetStreamNotEnabled') link.ready.drop(undefined)
    return asError(fault)
  }
  return {
    name: 'nats',
    capabilities: { atomicPerKey: false, deduplicates: true },
    async send(messages, signal) {
      const link = await held.get()
      // A connection that dies here must not be held on to: every later batch would find it dead.
      await link.ready.get().catch((fault: unknown) => {
        throw faultOf(link, fault)
      })
      if (signal.aborted) return messages.map(() => unreachable(signal.reason))
      const giveUp = (): void => held.drop(link)
      signal.addEventListener('abort', giveUp, { once: true })
      const outcomes = await Promise.all(messages.map((message) => sendOne(link, message)))
      signal.removeEventListener('abort', giveUp)
      return outcomes
    },
    close: () => held.close(),
  }
}

async function openLink(options: NatsSinkOptions, servers: Servers | undefined): Promise<Link> {
  const { connect, headers } = await loaded('@nats-io/transport-node', () => import('@nats-io/transport-node'))
  const { jetstream, jetstreamManager } = await loaded('@nats-io/jetstream', () => import('@nats-io/jetstream'))
  const { connection: given, authenticator, connectMs = 5000 } = options
  const connection =
    given ??
    (await connect({
      ...servers,
      ...(authenticator !== undefined && { authenticator }),
      timeout: connectMs,
      name: 'tsforge-sink',
      // What is in flight fails at once, and the next batch connects anew: nothing waits unseen in a buffer.
      reconnect: false,
      pingInterval: 10_000,
    }))
  const ready = new Held(
    async () => {
      if (options.create !== undefined)
        await ensureStream(await jetstreamManager(connection, { checkAPI: false }), options)
    },
    async () => undefined,
  )
  return { connection, stream: jetstream(connection), headers, ready }
}

async function ensureStream(manager: JetStreamManager, { stream, create }: NatsSinkOptions): Promise<void> {
  try {
    await manager.streams.info(stream)
  } catch (error) {
    if (asError(error).name !== 'StreamNotFoundError') throw error
    // Two replicas may make it at the same time: the same configuration is no conflict.
    await manager.streams.add({ ...create, name: stream })
  }
}

/** https://github.com/cloudevents/spec/blob/main/cloudevents/bindings/nats-protocol-binding.md */
function headersOf({ headers }: Link, { contentType, attributes }: SinkMessage): MsgHdrs {
  const made = headers()
  made.set('Content-Type', contentType)
  for (const [name, value] of Object.entries(attributes)) made.set(`ce-${name}`, percentEncoded(value))
  return made
}

/** As the HTTP binding has it: space, `"`, `%` and everything outside of printable ASCII. */
function percentEncoded(value: string): string {
  return value.toWellFormed().replaceAll(/[^!#$&-~]/gu, (char) => encodeURIComponent(char))
}

interface Servers {
  readonly servers: string[]
  readonly user?: string
  readonly pass?: string
  readonly token?: string
  readonly tls?: NonNullable<NatsSinkOptions['tls']>
}

/** The client takes addresses alone, so what else a URL says is taken out of it. */
function serversOf({ url, tls }: NatsSinkOptions): Servers {
  const urls = (typeof url === 'string' ? url.split(',') : (url ?? [])).map(parsed)
  const [first] = urls
  if (first === undefined) refuseOption('url', 'is missing')
  const [user, pass] = [decodeURIComponent(first.username), decodeURIComponent(first.password)]
  return {
    servers: urls.map(({ host }) => host),
    ...(pass !== '' && { user, pass }),
    ...(pass === '' && user !== '' && { token: user }),
    ...((tls !== undefined || urls.some(({ protocol }) => protocol === 'tls:')) && { tls: trusting(urls, tls) }),
  }
}

/** The client gives TLS no name for an address, and Node then takes `localhost` for the name to look for. */
function trusting(urls: readonly URL[], tls: NatsSinkOptions['tls']): NonNullable<NatsSinkOptions['tls']> {
  const hosts = urls.map(({ hostname }) => hostname.replaceAll(/^\[|\]$/g, ''))
  if (!hosts.some((host) => isIP(host) !== 0)) return tls ?? {}
  const check = (name: string, found: PeerCertificate): Error | undefined => {
    const wanted = hosts.filter((host) => isIP(host) !== 0 || host === name)
    const faults = wanted.map((host) => checkServerIdentity(host, found))
    return faults.includes(undefined) ? undefined : faults[0]
  }
  // Passed on to `node:tls` as it is.
  return Object.assign({ checkServerIdentity: check }, tls)
}

function parsed(text: string): URL {
  const url = URL.parse(text.trim())
  if (url === null || !['nats:', 'tls:'].includes(url.protocol) || url.hostname === '')
    refuseOption('url', 'must be nats://host or tls://host')
  return url
}
