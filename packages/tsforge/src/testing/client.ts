import type { LightMyRequestResponse as Injected } from 'fastify'
import type { App } from '../host/app.ts'
import { explain } from './conformance.ts'

/** The envelope of an answer. `data` is there on success, `error` on failure; the status says which. */
export interface ReplyBody<Data> {
  readonly success: boolean
  readonly data: Data
  readonly error: { readonly code: string; readonly message: string; readonly meta: Readonly<Record<string, unknown>> }
  readonly request_id: string
}

export interface Reply<Data = unknown> {
  readonly status: number
  /** Names in lower case; a repeated header is joined with `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Parsed when it is JSON, `undefined` when empty. */
  readonly body: ReplyBody<Data>
  readonly text: string
}

export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as `X-Tenant-ID`. */
  readonly tenant?: string
  /** Another bearer token than the client's; `null` for none. */
  readonly token?: string | null
}

/** A caller of the app. Each answer must fit the app's OpenAPI document, or the call throws. */
export interface Client {
  get<Data = unknown>(url: string, options?: CallOptions): Promise<Reply<Data>>
  delete<Data = unknown>(url: string, options?: CallOptions): Promise<Reply<Data>>
  post<Data = unknown>(url: string, body?: unknown, options?: CallOptions): Promise<Reply<Data>>
  put<Data = unknown>(url: string, body?: unknown, options?: CallOptions): Promise<Reply<Data>>
  patch<Data = unknown>(url: string, body?: unknown, options?: CallOptions): Promise<Reply<Data>>
  /** Any method, and a body that is sent as it is (`string`), for what a well-behaved client would not do. */
  send<Data = unknown>(method: string, url: string, raw?: string, options?: CallOptions): Promise<Reply<Data>>
  /** The same caller with a bearer token, a tenant or more headers from now on. */
  with(options: CallOptions): Client
}

export function createClient(app: App, own: CallOptions = {}): Client {
  const send = async <Data>(
    method: string,
    url: string,
    payload: string | undefined,
    options: CallOptions = {},
  ): Promise<Reply<Data>> => {
    const merged = { ...own, ...options, headers: { ...own.headers, ...options.headers } }
    const headers = headersOf(merged, payload !== undefined)
    const answer = await app.http.inject({
      method: method as 'GET',
      url,
      headers,
      ...(payload !== undefined && { payload }),
    })
    const reply = replyOf<Data>(answer)
    const faults = explain(app, method, url, answer)
    if (faults.length > 0) {
      throw new Error(
        `${method} ${url} → ${reply.status} does not fit the OpenAPI document:\n  ${faults.join('\n  ')}\n${reply.text.slice(0, 2000)}`,
      )
    }
    return reply
  }
  const json = (body: unknown): string | undefined => (body === undefined ? undefined : JSON.stringify(body))
  return {
    get: (url, options) => send('GET', url, undefined, options),
    delete: (url, options) => send('DELETE', url, undefined, options),
    post: (url, body, options) => send('POST', url, json(body), options),
    put: (url, body, options) => send('PUT', url, json(body), options),
    patch: (url, body, options) => send('PATCH', url, json(body), options),
    send,
    with: (options) => createClient(app, { ...own, ...options, headers: { ...own.headers, ...options.headers } }),
  }
}

function headersOf({ headers, tenant, token }: CallOptions, hasBody: boolean): Record<string, string> {
  return {
    ...(hasBody && { 'content-type': 'application/json' }),
    ...(typeof token === 'string' && { authorization: `Bearer ${token}` }),
    ...(tenant !== undefined && { 'x-tenant-id': tenant }),
    ...headers,
  }
}

function replyOf<Data>(answer: Injected): Reply<Data> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(answer.headers))
    headers[name] = Array.isArray(value) ? value.join(', ') : String(value)
  const isJson = /[/+]json\b/.test(headers['content-type'] ?? '')
  const body = isJson && answer.payload !== '' ? (JSON.parse(answer.payload) as ReplyBody<Data>) : undefined
  return { status: answer.statusCode, headers, body: body as ReplyBody<Data>, text: answer.payload }
}
