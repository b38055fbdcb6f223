import type { Clock } from '../../../kernel/clock.ts'
import { requireTenantId } from '../../../kernel/context.ts'
import { isUuid, uuidv7 } from '../../../kernel/ids.ts'
import type { PageRequest, Slice } from '../../../kernel/page.ts'
import { allows, preconditionErrors } from '../../../kernel/precondition.ts'
import type { Expected } from '../../../kernel/precondition.ts'
import { tell, within } from '../../../primitives/db/index.ts'
import type { Db, Queryable } from '../../../primitives/db/index.ts'
import type { Egress } from '../../../primitives/egress/index.ts'
import type { EventType } from '../../../primitives/events/index.ts'
import { webhooksErrors } from '../errors.ts'
import { cancelPending } from '../deliveries/repository.ts'
import { endpointChanged, secretRotated } from '../events.ts'
import type { WebhooksMeters } from '../meters.ts'
import type { WebhooksOptions } from '../options.ts'
import type { Rotation, Webhooks } from '../webhooks.ts'
import type { Endpoint, EndpointPatch } from './endpoint.ts'
import { checkWanted } from './filters.ts'
import { checkHeaders } from './headers.ts'
import * as repository from './repository.ts'
import type { EndpointValues, StoredEndpoint } from './repository.ts'
import type { Vault } from './secrets.ts'

export interface EndpointsParts {
  readonly db: Db
  readonly clock: Clock
  readonly egress: Egress
  readonly vault: Vault
  readonly options: WebhooksOptions
  readonly types: readonly EventType<never>[]
  readonly meters: WebhooksMeters
}

export type Endpoints = Pick<Webhooks, 'create' | 'get' | 'list' | 'update' | 'remove' | 'secrets' | 'rotate'>

const first: PageRequest = { limit: 100, order: [{ column: 'id', direction: 'asc' }] }
const metadataLimit = 8192

/** The endpoints of the running unit of work's tenant. */
export function createEndpoints({ db, clock, egress, vault, options, types, meters }: EndpointsParts): Endpoints {
  const now = (): Date => new Date(clock.now())

  const find = async (id: string): Promise<StoredEndpoint> =>
    found(isUuid(id) ? await repository.selectEndpoint(db, requireTenantId(), id) : undefined)
  const lock = async (tx: Queryable, id: string, expected: Expected = {}): Promise<StoredEndpoint> => {
    const endpoint = found(isUuid(id) ? await repository.lockEndpoint(tx, requireTenantId(), id) : undefined)
    if (!allows(expected, endpoint.version))
      throw preconditionErrors.error('precondition.failed', { meta: { current_version: endpoint.version } })
    return endpoint
  }

  const end = async (tx: Queryable, id: string): Promise<void> =>
    meters.settled.add(await cancelPending(tx, id, now()), { state: 'cancelled' })

  /** Checks what was given, before any lock: a name may take a while to be looked up. */
  const checked = async (patch: EndpointPatch): Promise<EndpointPatch> => {
    const { url, events, headers, metadata } = patch
    if (metadata !== undefined && Buffer.byteLength(JSON.stringify(metadata)) > metadataLimit)
      throw webhooksErrors.error('webhooks.metadata_too_large')
    return {
      ...patch,
      ...(events !== undefined && { events: checkWanted(events, types) }),
      ...(headers !== undefined && { headers: checkHeaders(headers) }),
      ...(url !== undefined && { url: (await egress.verify(url)).href }),
    }
  }

  const merged = (id: string, base: EndpointValues, patch: EndpointPatch): EndpointValues => {
    const { headers, enabled = base.enabled, ...rest } = patch
    const toggled = enabled !== base.enabled
    return {
      ...base,
      ...rest,
      ...(headers !== undefined && {
        headerNames: Object.keys(headers),
        headers: Object.keys(headers).length === 0 ? null : vault.sealHeaders(id, headers),
      }),
      enabled,
      ...(toggled && { disabledReason: enabled ? null : 'manual', disabledAt: enabled ? null : now() }),
    }
  }

  return {
    async create({ signature = 'standard', secret, ...input }, outer) {
      const tenantId = requireTenantId()
      const patch = await checked(input)
      const id = uuidv7()
      const made = vault.renew({ id, signature }, [], { secret, overlapMs: 0, now: clock.now() })
      return within(db, outer, async (tx) => {
        if ((await repository.countLocked(tx, tenantId)) >= options.endpoints)
          throw webhooksErrors.error('webhooks.too_many_endpoints', { meta: { limit: options.endpoints } })
        const values = merged(id, { ...plain, secrets: made.secrets }, patch)
        const endpoint = await repository.insertEndpoint(tx, { id, tenantId, signature }, values, now())
        tell(tx, endpointChanged, { endpointId: id, tenantId, change: 'created' })
        return { endpoint, secret: made.shown }
      })
    },

    get: async (id) => visible(await find(id)),
    list: (page: PageRequest = first): Promise<Slice<Endpoint>> =>
      repository.selectEndpoints(db, requireTenantId(), page),

    async update(id, input, expected, outer) {
      const patch = await checked(input)
      return within(db, outer, async (tx) => {
        const endpoint = await lock(tx, id, expected)
        const values = merged(id, endpoint, patch)
        const changed = await repository.updateEndpoint(tx, id, values, now())
        // Another place, another pace, or a second chance: what was learnt of it is of no more use.
        const fresh =
          values.url !== endpoint.url || values.rate !== endpoint.rate || values.enabled !== endpoint.enabled
        if (fresh) await repository.resetFlow(tx, id)
        if (!values.enabled) await end(tx, id)
        tell(tx, endpointChanged, { endpointId: id, tenantId: endpoint.tenantId, change: 'updated' })
        return changed
      })
    },

    remove: (id, expected, outer) =>
      within(db, outer, async (tx) => {
        const { tenantId } = await lock(tx, id, expected)
        await repository.softDeleteEndpoint(tx, id, now())
        await end(tx, id)
        tell(tx, endpointChanged, { endpointId: id, tenantId, change: 'deleted' })
      }),

    async secrets(id) {
      const endpoint = await find(id)
      return vault.show(endpoint, endpoint.secrets, clock.now())
    },

    rotate: (id, { secret, overlapMs = options.overlapMs }: Rotation = {}, outer) =>
      within(db, outer, async (tx) => {
        const endpoint = await lock(tx, id)
        const { shown, secrets } = vault.renew(endpoint, endpoint.secrets, { secret, overlapMs, now: clock.now() })
        await repository.updateEndpoint(tx, id, { ...endpoint, secrets }, now())
        tell(tx, secretRotated, { endpointId: id, tenantId: endpoint.tenantId })
        return shown
      }),
  }
}

const plain: EndpointValues = {
  url: '',
  description: '',
  events: [],
  format: 'standard',
  headerNames: [],
  headers: null,
  secrets: [],
  rate: null,
  concurrency: null,
  ordered: false,
  enabled: true,
  disabledReason: null,
  disabledAt: null,
  metadata: {},
}

function found(endpoint: StoredEndpoint | undefined): StoredEndpoint {
  if (endpoint === undefined) throw webhooksErrors.error('webhooks.endpoint_not_found')
  return endpoint
}

function visible({ headers: _headers, secrets: _secrets, ...endpoint }: StoredEndpoint): Endpoint {
  return endpoint
}
