import type { ConnectionOptions as TlsOptions } from 'node:tls'
import type { ChannelModel, ConfirmChannel, Message, Options } from 'amqplib'
import type { Outcome, SinkDriver, SinkMessage } from '../driver.ts'
import { asError, loaded, refuseOption, unreachable } from '../errors.ts'
import { Held } from '../held.ts'

export interface RabbitmqSinkOptions {
  /** `amqp://user:password@host:5672/vhost`, `amqps:` for TLS; several are nodes of one cluster, tried in turn. */
  readonly url?: string | readonly string[]
  /** A connection of your own, which is not closed; when it ends a new sink is needed. */
  readonly connection?: ChannelModel
  /** That the events are published to. `''` is the default one, where the address is the name of a queue. */
  readonly exchange: string
  /** Declares the exchange (durable), e.g. `{ type: 'topic' }`. */
  readonly create?: { readonly type: 'topic' | 'direct' | 'fanout' | 'headers' } & Options.AssertExchange
  readonly tls?: TlsOptions
  /** For one attempt to connect. Default 5 s. */
  readonly connectMs?: number
}

interface Link {
  readonly model: ChannelModel
  readonly channel: ConfirmChannel
  /** How often the messages of an id came back unroutable, until their confirmation. */
  readonly returned: Map<string, number>
  closed: boolean
}

const heartbeatSeconds = '10'

/**
 * RabbitMQ: a channel with confirms; messages are persistent and mandatory, so that one that no queue takes counts as
 * unconfirmed. Queues are yours to declare: durable ones, else a restart loses what was confirmed. Needs `amqplib`.
 */
export function rabbitmq(options: RabbitmqSinkOptions): SinkDriver {
  const { exchange, connection } = options
  const urls = connection === undefined ? urlsOf(options.url) : []
  const held: Held<Link> = new Held(
    () => openLink(options, urls, (link) => held.drop(link)),
    (link) => (connection === undefined ? link.model.close() : link.channel.close()),
  )
  return {
    name: 'rabbitmq',
    capabilities: { atomicPerKey: false, deduplicates: false },
    async send(messages, signal) {
      const link = await held.get()
      if (signal.aborted) return messages.map(() => unreachable(signal.reason))
      const giveUp = (): void => held.drop(link)
      signal.addEventListener('abort', giveUp, { once: true })
      const outcomes = await Promise.all(messages.map((message) => sendOne(link, exchange, message)))
      signal.removeEventListener('abort', giveUp)
      return outcomes
    },
    close: () => held.close(),
  }
}

function sendOne(link: Link, exchange: string, message: SinkMessage): Promise<Outcome> {
  return new Promise((done) => {
    try {
      link.channel.publish(exchange, message.to, message.body, propertiesOf(message), (fault: unknown) => {
        if (fault !== null) done(link.closed ? unreachable(fault) : asError(fault))
        else if (wasReturned(link, message.id)) done(new Error(`no queue takes "${message.to}"`))
        else done('confirmed')
      })
    } catch (fault) {
      // A closed channel throws, and so does what cannot be encoded.
      done(link.closed ? unreachable(fault) : asError(fault))
    }
  })
}

/** The broker hands an unroutable message back before it confirms it. */
function wasReturned({ returned }: Link, id: string): boolean {
  const times = returned.get(id)
  if (times === undefined) return false
  if (times === 1) returned.delete(id)
  else returned.set(id, times - 1)
  return true
}

/** Attributes as the binding for AMQP 1.0 names them, which RabbitMQ maps to and from headers of AMQP 0.9.1. */
function propertiesOf({ id, type, contentType, attributes }: SinkMessage): Options.Publish {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(attributes)) headers[`cloudEvents_${name}`] = value
  return { persistent: true, mandatory: true, messageId: id, type, contentType, headers }
}

async function openLink(
  options: RabbitmqSinkOptions,
  urls: readonly string[],
  onEnd: (link: Link) => void,
): Promise<Link> {
  const model = options.connection ?? (await connect(options, urls))
  try {
    const channel = await model.createConfirmChannel()
    const link: Link = { model, channel, returned: new Map(), closed: false }
    // Whatever ends the channel ends the link; the error itself comes with each message that it leaves unconfirmed.
    channel.on('error', () => undefined)
    // Before the client tells those who wait for a confirmation.
    channel.prependListener('close', () => {
      link.closed = true
      onEnd(link)
    })
    channel.on('return', ({ properties }: Message) => {
      const id = String(properties.messageId)
      link.returned.set(id, (link.returned.get(id) ?? 0) + 1)
    })
    if (options.create !== undefined) {
      const { type, ...rest } = options.create
      await channel.assertExchange(options.exchange, type, { durable: true, ...rest })
    }
    return link
  } catch (error) {
    if (options.connection === undefined) await model.close().catch(() => undefined)
    throw error
  }
}

async function connect(options: RabbitmqSinkOptions, urls: readonly string[]): Promise<ChannelModel> {
  const client = await loaded('amqplib', () => import('amqplib'))
  let last: unknown
  for (const url of urls)
    try {
      const model = await client.connect(url, { ...options.tls, timeout: options.connectMs ?? 5000, noDelay: true })
      // The channel ends with it, and that is listened to.
      model.on('error', () => undefined)
      return model
    } catch (error) {
      last = error
    }
  throw unreachable(last)
}

function urlsOf(from: string | readonly string[] | undefined): readonly string[] {
  const urls = (typeof from === 'string' ? from.split(',') : (from ?? [])).map((text) => {
    const url = URL.parse(text.trim())
    if (url === null || !['amqp:', 'amqps:'].includes(url.protocol) || url.hostname === '')
      refuseOption('url', 'must be amqp://host or amqps://host')
    if (!url.searchParams.has('heartbeat')) url.searchParams.set('heartbeat', heartbeatSeconds)
    return url.href
  })
  if (urls.length === 0) refuseOption('url', 'is missing')
  return urls
}
