import { expect } from 'vitest'
import { createTestApp } from 'tsforge/testing'
import type { CallOptions, Client, Reply, TestApp, TestUser } from 'tsforge/testing'
import { jobsPort } from 'tsforge/jobs'
import { newStandardSecret, standard } from 'tsforge/signatures'
import { webhooksInPort } from 'tsforge/webhooks-in'
import { purgeNotes } from '../../apps/reference/features/notes/note.jobs.ts'
import config from '../../apps/reference/forge.config.ts'
import { ownAvatar, picture, readyUpload, sentUpload } from './files.ts'

const hookSecret = newStandardSecret()

/** The reference app as everybody gets it; the local peer is a proxy, so that each request can come from elsewhere. */
export function target(
  env: Readonly<Record<string, string>> = {},
  more: { readonly databaseUrl?: string } = {},
): Promise<TestApp> {
  return createTestApp({
    config,
    env: {
      PORT: '0',
      FORGE_HTTP_TRUSTED_PROXIES: '127.0.0.1',
      NOTES_HOOK_SECRET: hookSecret,
      // Nobody listens there, and nothing of a test leaves this machine.
      FORGE_EGRESS_ALLOWED_NETWORKS: '127.0.0.1/32',
      FORGE_EGRESS_PORTS: '9',
      ...env,
    },
    ...more,
  })
}

/** One entry of the served OpenAPI document. */
export interface Operation {
  readonly id: string
  readonly method: string
  /** `/api/v1/notes/{id}` */
  readonly path: string
  readonly guarded: boolean
  readonly takesTenant: boolean
  readonly params: readonly string[]
  readonly query: readonly string[]
  readonly body: { readonly properties: Readonly<Record<string, unknown>> } | undefined
}

interface Parameter {
  readonly $ref?: string
  readonly name: string
  readonly in: string
}
interface Described {
  readonly operationId: string
  readonly security: readonly unknown[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: {
    readonly content: { readonly 'application/json': { readonly schema: NonNullable<Operation['body']> } }
  }
}

/** Every operation that the app serves, as its document says. */
export async function operationsOf(app: TestApp): Promise<Operation[]> {
  const { paths } = JSON.parse((await app.client.get('/openapi.json')).text) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, Described>>>>
  }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { operationId, security, parameters = [], requestBody }]) => ({
      id: operationId,
      method: method.toUpperCase(),
      path,
      guarded: security.length > 0,
      takesTenant: parameters.some((parameter) => parameter.$ref?.endsWith('/TenantId') === true),
      params: parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name),
      query: parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name),
      body: requestBody?.content['application/json'].schema,
    })),
  )
}

/** A request that succeeds: what an attack changes one thing of. */
export interface Sample {
  readonly params?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readonly<Record<string, unknown>>
  readonly status: number
}

type Prepare = (owner: TestUser, app: TestApp) => Promise<Sample> | Sample

async function made(client: Client, url: string, body: object): Promise<string> {
  const reply = await client.post<{ id: string }>(url, body)
  if (reply.status !== 201) throw new Error(`${url} answered ${reply.text}`)
  return reply.body.data.id
}

export const team = (owner: Client): Promise<string> => made(owner, '/api/v1/tenants', { name: 'Engines' })
export const note = (owner: Client): Promise<string> =>
  made(owner, '/api/v1/notes', { title: `Note ${++count}`, body: 'text' })
let count = 0
async function personalTenant(owner: TestUser): Promise<string> {
  const { body } = await owner.get<{ items: readonly { id: string; kind: string }[] }>('/api/v1/tenants')
  return body.data.items.find(({ kind }) => kind === 'personal')!.id
}

/** A job of the owner's own tenant that waits. */
async function job(owner: TestUser, app: TestApp): Promise<string> {
  const tenantId = await personalTenant(owner)
  const { id } = await app.get(jobsPort).enqueue(purgeNotes, { keepDays: 1 }, { tenantId, delayMs: 3_600_000 })
  return String(id)
}

/** A webhook for the owner's own tenant, signed. */
async function hook(owner: TestUser, app: TestApp): Promise<Sample & { readonly params: { readonly tenant: string } }> {
  const { body: listed } = await owner.get<{ items: readonly { id: string; kind: string }[] }>('/api/v1/tenants')
  const tenant = listed.data.items.find(({ kind }) => kind === 'personal')!.id
  const body = { type: 'note.wanted', data: { title: `Hook ${++count}`, body: 'text' } }
  const message = { id: `msg_${count}`, timestamp: Math.floor(app.clock.now() / 1000), body: JSON.stringify(body) }
  const headers = standard.sign(standard.key(hookSecret), message)
  return { status: 202, params: { source: 'notes', tenant }, headers, body }
}

/** One of the owner's tenant that came and was handled. */
async function hooked(owner: TestUser, app: TestApp): Promise<string> {
  const { params, headers, body } = await hook(owner, app)
  const received = await app.get(webhooksInPort).receive({
    source: 'notes',
    tenant: params.tenant,
    headers: headers!,
    body: Buffer.from(JSON.stringify(body)),
    ip: '192.0.2.1',
  })
  if (received.status !== 'accepted') throw new Error(received.status)
  await app.jobs.drain({ failing: true })
  return received.id
}

const hooks = '/api/v1/webhooks/endpoints'
const endpointBody = { url: 'https://127.0.0.1:9/hooks', events: ['note.*'] }
const endpoint = (owner: Client): Promise<string> => made(owner, hooks, endpointBody)
const ofEndpoint =
  (more: Partial<Sample> = {}): Prepare =>
  async (owner) => ({ status: 200, params: { id: await endpoint(owner) }, ...more })
/** One that is on its way to an endpoint of the owner's tenant. */
async function sent(owner: Client): Promise<{ readonly id: string; readonly message_id: string }> {
  const reply = await owner.post<{ id: string; message_id: string }>(`${hooks}/${await endpoint(owner)}/test`)
  if (reply.status !== 201) throw new Error(reply.text)
  return reply.body.data
}
const since = '2020-01-01T00:00:00Z'

async function teamWithMember(owner: TestUser, app: TestApp): Promise<{ id: string; user_id: string }> {
  const id = await team(owner)
  const { id: userId } = await app.register()
  const joined = await owner.post(`/api/v1/tenants/${id}/members`, { user_id: userId })
  if (joined.status !== 201) throw new Error(joined.text)
  return { id, user_id: userId }
}

/** How each operation is used rightly. A new route needs an entry here, or the suite fails. */
export const samples: Readonly<Record<string, Prepare>> = {
  getHealth: () => ({ status: 200 }),
  getReadiness: () => ({ status: 200 }),
  getJwks: () => ({ status: 200 }),
  register: () => ({
    status: 201,
    body: { email: `eve${++count}@example.org`, password: 'a long pass phrase 9', name: 'Eve' },
  }),
  login: ({ email, password }) => ({ status: 200, body: { email, password } }),
  refresh: async (owner, app) => ({
    status: 200,
    body: { refresh_token: (await app.login(owner)).tokens.refresh_token },
  }),
  logout: () => ({ status: 204 }),
  me: () => ({ status: 200 }),
  changePassword: ({ password }) => ({
    status: 204,
    body: { current_password: password, new_password: 'another pass phrase 9' },
  }),
  listSessions: () => ({ status: 200 }),
  revokeOtherSessions: () => ({ status: 200 }),
  revokeSession: async (owner, app) => {
    await app.login(owner)
    const { body } = await owner.get<{ id: string; current: boolean }[]>('/api/v1/me/sessions')
    return { status: 204, params: { id: body.data.find(({ current }) => !current)!.id } }
  },
  startUpload: () => ({ status: 201, body: picture }),
  completeUpload: async (owner, app) => ({ status: 200, params: { id: await sentUpload(owner, app) } }),
  getUpload: async (owner, app) => ({ status: 200, params: { id: await sentUpload(owner, app) } }),
  linkUpload: async (owner, app) => ({ status: 200, params: { id: await readyUpload(owner, app) } }),
  deleteUpload: async (owner, app) => ({ status: 204, params: { id: await readyUpload(owner, app) } }),
  chooseAvatar: async (owner, app) => ({ status: 200, body: { upload_id: await readyUpload(owner, app) } }),
  getAvatar: async (owner, app) => {
    await ownAvatar(owner, app)
    return { status: 200 }
  },
  deleteAvatar: () => ({ status: 204 }),
  listTenants: () => ({ status: 200 }),
  createTenant: () => ({ status: 201, body: { name: 'Team', slug: `team-${++count}` } }),
  getTenant: async (owner) => ({ status: 200, params: { id: await team(owner) } }),
  updateTenant: async (owner) => ({ status: 200, params: { id: await team(owner) }, body: { name: 'Other' } }),
  deleteTenant: async (owner) => ({ status: 204, params: { id: await team(owner) } }),
  listMembers: async (owner) => ({ status: 200, params: { id: await team(owner) } }),
  addMember: async (owner, app) => ({
    status: 201,
    params: { id: await team(owner) },
    body: { user_id: (await app.register()).id, role: 'member' },
  }),
  changeMemberRole: async (owner, app) => ({
    status: 200,
    params: await teamWithMember(owner, app),
    body: { role: 'owner' },
  }),
  removeMember: async (owner, app) => ({ status: 204, params: await teamWithMember(owner, app) }),
  getQuotaUsage: () => ({ status: 200 }),
  listQuotaHistory: () => ({ status: 200 }),
  getQuotaPlan: () => ({ status: 200 }),
  chooseQuotaPlan: () => ({ status: 200, body: { plan: 'free' } }),
  listJobs: () => ({ status: 200 }),
  getJobStats: () => ({ status: 200 }),
  previewJobRedrive: () => ({ status: 200 }),
  redriveJobs: () => ({ status: 200, body: { kind: 'notes.purge' } }),
  listJobSchedules: () => ({ status: 200 }),
  getJob: async (owner, app) => ({ status: 200, params: { id: await job(owner, app) } }),
  retryJob: async (owner, app) => ({ status: 204, params: { id: await job(owner, app) } }),
  cancelJob: async (owner, app) => ({ status: 200, params: { id: await job(owner, app) } }),
  listWebhookEventTypes: () => ({ status: 200 }),
  listWebhookEndpoints: () => ({ status: 200 }),
  createWebhookEndpoint: () => ({ status: 201, body: endpointBody }),
  getWebhookEndpoint: ofEndpoint(),
  updateWebhookEndpoint: ofEndpoint({ body: { description: 'ours' } }),
  deleteWebhookEndpoint: ofEndpoint({ status: 204 }),
  getWebhookSecrets: ofEndpoint(),
  rotateWebhookSecret: ofEndpoint({ body: { overlap_seconds: 60 } }),
  testWebhookEndpoint: ofEndpoint({ status: 201 }),
  listWebhookDeliveries: ofEndpoint(),
  getWebhookStats: ofEndpoint(),
  recoverWebhookEndpoint: ofEndpoint({ body: { since } }),
  replayWebhooks: ofEndpoint({ body: { since, preview: true } }),
  getWebhookDelivery: async (owner) => ({ status: 200, params: { id: (await sent(owner)).id } }),
  listWebhookAttempts: async (owner) => ({ status: 200, params: { id: (await sent(owner)).id } }),
  resendWebhook: async (owner) => ({ status: 200, params: { id: (await sent(owner)).id } }),
  listWebhookMessages: () => ({ status: 200 }),
  getWebhookMessage: async (owner) => ({ status: 200, params: { id: (await sent(owner)).message_id } }),
  listWebhookMessageDeliveries: async (owner) => ({ status: 200, params: { id: (await sent(owner)).message_id } }),
  receiveTenantWebhook: hook,
  listWebhookInDeliveries: () => ({ status: 200 }),
  getWebhookInDelivery: async (owner, app) => ({ status: 200, params: { id: await hooked(owner, app) } }),
  replayWebhookInDelivery: async (owner, app) => ({ status: 204, params: { id: await hooked(owner, app) } }),
  listMailSuppressions: () => ({ status: 200 }),
  createMailSuppression: () => ({ status: 201, body: { address: `a${++count}@example.com` } }),
  deleteMailSuppression: async (owner) => {
    const entry = { address: `b${++count}@example.com` }
    const { body } = await owner.post<{ id: string }>('/api/v1/mail/suppressions', entry)
    return { status: 204, params: { id: body.data.id } }
  },
  listNotes: async (owner) => (await note(owner), { status: 200 }),
  countNotes: async (owner) => (await note(owner), { status: 200 }),
  createNote: () => ({ status: 201, body: { title: `Title ${++count}`, body: 'text' } }),
  getNote: async (owner) => ({ status: 200, params: { id: await note(owner) } }),
  changeNote: async (owner) => ({ status: 200, params: { id: await note(owner) }, body: { pinned: true } }),
  deleteNote: async (owner) => ({ status: 204, params: { id: await note(owner) } }),
  // With topics it would be answered for as long as somebody listens.
  openStream: () => ({ status: 422 }),
  createStreamTicket: () => ({ status: 201 }),
}

export async function sampleOf(operation: Operation, owner: TestUser, app: TestApp): Promise<Sample> {
  const prepare = samples[operation.id]
  if (prepare === undefined) throw new Error(`${operation.id} has no sample in ${import.meta.filename}`)
  return prepare(owner, app)
}

export function urlOf({ path }: Pick<Operation, 'path'>, { params = {} }: Pick<Sample, 'params'>): string {
  return path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name]!))
}

/** Sends a sample; `changed` are the headers and the token of the attack. Keeps the promises of every answer. */
export async function ask(
  client: Client,
  operation: Operation,
  sample: Sample,
  changed: CallOptions = {},
): Promise<Reply> {
  const body = sample.body === undefined ? undefined : JSON.stringify(sample.body)
  const options = { ...changed, headers: { ...sample.headers, ...changed.headers } }
  return sound(await client.send(operation.method, urlOf(operation, sample), body, options))
}

const internals =
  /forge_|node_modules|\bat \S+ \(|node:|\.ts\b|SQLSTATE|\bselect \S+ from\b|insert into|syntax error|pg_|postgres|ECONN|relation "|violates|constraint|stack|argon2/i

/** What every answer keeps, whatever was asked. Returns it. */
export function sound<Data>(reply: Reply<Data>): Reply<Data> {
  const { status, headers, text } = reply
  expect(status, text).toBeLessThan(500)
  expect(headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'content-security-policy': expect.stringContaining("default-src 'none'") as string,
    'x-request-id': expect.stringMatching(/^[A-Za-z0-9._:+/=-]{1,128}$/) as string,
  })
  expect(headers).not.toHaveProperty('set-cookie')
  expect(headers).not.toHaveProperty('server')
  expect(headers).not.toHaveProperty('x-powered-by')
  if (status < 400) return reply
  expect(headers['cache-control']).toBe('no-store')
  expect(text).not.toMatch(internals)
  if (text === '') return reply
  if (headers['content-type'] === 'application/problem+json')
    expect(reply.body).toMatchObject({ status, request_id: headers['x-request-id'] })
  else expect(reply.body).toMatchObject({ success: false, request_id: headers['x-request-id'] })
  return reply
}

/** An answer without what differs by request. */
export function bytes({ status, headers, text }: Reply): string {
  const id = headers['x-request-id']!
  const { 'x-request-id': _id, date: _date, ...others } = headers
  return JSON.stringify([status, others, text.replaceAll(id, '')])
}
