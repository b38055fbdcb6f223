import type { InjectOptions, LightMyRequestResponse as Injected } from 'fastify'

/** A web `Request` as Fastify's `inject` wants it. */
export async function requestOf(input: Request | string, init?: RequestInit): Promise<InjectOptions> {
  const request =
    typeof input === 'string' ? new Request(new URL(input, 'http://localhost'), init) : new Request(input, init)
  const { pathname, search } = new URL(request.url)
  const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer())
  return {
    method: request.method as NonNullable<InjectOptions['method']>,
    url: pathname + search,
    headers: Object.fromEntries(request.headers),
    ...(body !== undefined && { payload: body }),
  }
}

export function responseOf(answer: Injected): Response {
  const headers = new Headers()
  for (const [name, value] of Object.entries(answer.headers)) {
    for (const each of Array.isArray(value) ? value : [value])
      if (each !== undefined) headers.append(name, String(each))
  }
  const empty = answer.statusCode === 204 || answer.statusCode === 304
  return new Response(empty ? null : new Uint8Array(answer.rawPayload), { status: answer.statusCode, headers })
}
