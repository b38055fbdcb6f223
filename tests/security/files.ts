import type { TestApp, TestUser } from 'tsforge/testing'

const png = Buffer.from('\x89PNG\r\n\x1a\n and more', 'latin1')

/** Announces a picture. */
export const picture = { kind: 'avatar', filename: 'me.png', content_type: 'image/png', size: png.length } as const

/** An upload whose file lies in the storage, not completed yet. */
export async function sentUpload(owner: TestUser, app: TestApp): Promise<string> {
  const { body } = await owner.post<{
    readonly upload: { readonly id: string }
    readonly request: { readonly url: string; readonly headers: Record<string, string> }
  }>('/api/v1/uploads', picture)
  const { url, headers } = body.data.request
  const { statusCode, payload } = await app.http.inject({ method: 'PUT', url, headers, payload: png })
  if (statusCode !== 204) throw new Error(`the storage answered ${payload}`)
  return body.data.upload.id
}

export async function readyUpload(owner: TestUser, app: TestApp): Promise<string> {
  const id = await sentUpload(owner, app)
  const { status, text } = await owner.post(`/api/v1/uploads/${id}/complete`)
  if (status !== 200) throw new Error(text)
  return id
}

export async function ownAvatar(owner: TestUser, app: TestApp): Promise<void> {
  await owner.put('/api/v1/me/avatar', { upload_id: await readyUpload(owner, app) })
}
