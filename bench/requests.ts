import type { Requests } from './load.ts'

const item = { sku: 'SKU-000001', quantity: 2, price: 19.95 }

/** About 1 KB of JSON. */
export const order = {
  title: 'Quarterly order of the workshop',
  email: 'orders@example.com',
  active: true,
  tags: ['workshop', 'quarterly', 'priority'],
  items: Array.from({ length: 8 }, (_, index) => ({ ...item, sku: `SKU-00000${index}` })),
  note: 'Deliver to the back door between nine and noon, and ring twice. '.repeat(6).trim(),
}

/** What each round sends to a server. */
export function requestsFor(tokens: readonly string[]): readonly Requests[] {
  return [
    { name: 'healthz', method: 'GET', path: '/healthz', headers: [{}] },
    { name: 'me', method: 'GET', path: '/me', headers: tokens.map((token) => ({ authorization: `Bearer ${token}` })) },
    {
      name: 'echo',
      method: 'POST',
      path: '/echo',
      headers: [{ 'content-type': 'application/json' }],
      body: JSON.stringify(order),
    },
  ]
}
