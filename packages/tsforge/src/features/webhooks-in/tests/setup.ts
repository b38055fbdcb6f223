import { randomUUID } from 'node:crypto'
import { accounts } from '../../accounts/index.ts'
import { tenants } from '../../tenants/index.ts'
import { createTestApp } from '../../../testing/app.ts'
import type { TestApp } from '../../../testing/app.ts'
import type { Feature } from '../../../http/feature.ts'
import type { SignatureScheme } from '../../../primitives/signatures/index.ts'
import type { RunningWebhooksIn } from '../create-webhooks-in.ts'
import { webhooksIn } from '../plugin.ts'
import { webhooksInApi } from '../routes.ts'
import type { WebhookCall, WebhookDelivery, WebhookSource } from '../source.ts'
import { webhooksInPort } from '../webhooks-in.ts'

export interface Handled {
  readonly delivery: WebhookDelivery
  readonly call: WebhookCall
}

export interface Lab extends AsyncDisposable {
  readonly app: TestApp
  readonly service: RunningWebhooksIn
  readonly handled: Handled[]
}

/** A source that remembers what it is given. */
export function remembering(
  handled: Handled[],
  source: Omit<WebhookSource, 'handler'> & Partial<WebhookSource>,
): WebhookSource {
  return { handler: (delivery, call) => void handled.push({ delivery, call }), ...source }
}

export async function openLab(
  sources: readonly (Omit<WebhookSource, 'handler'> & Partial<WebhookSource>)[],
  env: Record<string, string> = {},
  besides: readonly Feature[] = [],
): Promise<Lab> {
  const handled: Handled[] = []
  const app = await createTestApp({
    features: [
      accounts(),
      tenants(),
      webhooksIn({ sources: sources.map((source) => remembering(handled, source)) }),
      webhooksInApi(),
      ...besides,
    ],
    env,
  })
  return {
    app,
    handled,
    service: app.get(webhooksInPort) as RunningWebhooksIn,
    [Symbol.asyncDispose]: () => app[Symbol.asyncDispose](),
  }
}

export type Send = (
  path: string,
  body: string | Uint8Array,
  headers: Readonly<Record<string, string>>,
) => Promise<{ readonly status: number; readonly code: string | undefined; readonly body: Record<string, unknown> }>

export function sender(app: TestApp): Send {
  return async (path, body, headers) => {
    const answer = await app.fetch(`http://app/api/v1/hooks/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: body as string,
    })
    const told = (await answer.json()) as Record<string, unknown> & { readonly error?: { readonly code: string } }
    return { status: answer.status, code: told.error?.code, body: told }
  }
}

/** Signed at the app's time. */
export function signed(
  app: TestApp,
  scheme: SignatureScheme,
  secret: string,
  body: string,
  { id = `msg_${randomUUID()}`, aheadSeconds = 0 }: { readonly id?: string; readonly aheadSeconds?: number } = {},
): Record<string, string> {
  const timestamp = Math.floor(app.clock.now() / 1000) + aheadSeconds
  return scheme.sign(scheme.key(secret), { id, timestamp, body })
}
