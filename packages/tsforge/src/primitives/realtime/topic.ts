import { isTypeFilter, matching } from '../events/index.ts'
import type { EventType, LoggedEvent } from '../events/index.ts'
import { realtimeErrors } from './errors.ts'

/** Who hears of an event: everybody in its tenant, or the users that it names. */
export type Audience = 'tenant' | 'user'

export interface TopicSpec<Data = never> {
  /** What callers ask for: lower-case letters, digits and `._-`, at most 64. */
  readonly name: string
  /** Kinds of events, or texts with `*` for one part and `**` for the rest: `note.*`. */
  readonly events: readonly (EventType<never> | string)[] | EventType<never> | string
  /** What a caller must be allowed to do in the tenant. Default: nothing but to belong to it. */
  readonly permission?: string
  /**
   * `tenant`: an event goes to those who work in its tenant, one without a tenant to nobody. `user`: to the users that `user`
   * names, those of an event with a tenant only while they work in it, those of one without a tenant wherever they are.
   */
  readonly audience: Audience
  /** Of topics for users: ids of those who hear of the event. Default: its subject. */
  readonly user?: (event: LoggedEvent<Data>) => string | readonly string[] | undefined
  /** What callers get as data, written as JSON. Default: the event itself. `undefined`: they get nothing of this event. */
  readonly data?: (event: LoggedEvent<Data>) => unknown
}

/** A topic that streams can ask for; made by `defineTopic`. */
export interface Topic extends TopicSpec {
  /** Filters of kinds of events. */
  readonly types: readonly string[]
  matches(type: string): boolean
}

const namePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/

type DataOf<T> = T extends EventType<infer D> ? D : T extends readonly (infer One)[] ? DataOf<One> : unknown

/** Declares a topic. Throws `realtime.topic_malformed` at once when it cannot work. */
export function defineTopic<const Kinds extends TopicSpec['events']>(
  spec: Omit<TopicSpec<DataOf<Kinds>>, 'events'> & { readonly events: Kinds },
): Topic {
  const given = spec as unknown as TopicSpec
  const { name, events, audience, user } = given
  const require = (right: boolean, reason: string): void => {
    if (!right) throw realtimeErrors.error('realtime.topic_malformed', { meta: { topic: String(name), reason } })
  }
  const list = Array.isArray(events) ? (events as readonly (EventType<never> | string)[]) : [events as string]
  const types = list.map((each) => (typeof each === 'string' ? each : each.type))
  require(namePattern.test(name), 'its name must be lower-case letters, digits and ._- (at most 64)')
  require(types.length > 0, 'it has no events')
  for (const type of types) require(isTypeFilter(type), `"${type}" is neither a kind of event nor a filter`)
  require(audience === 'tenant' || audience === 'user', 'its audience must be "tenant" or "user"')
  require(user === undefined || audience === 'user', 'only topics with the audience "user" name users')
  const source = matching(types)
  const expression = source === undefined ? undefined : new RegExp(source)
  return { ...given, types, matches: (type) => expression?.test(type) ?? true }
}
