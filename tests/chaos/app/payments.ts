import { defineFeature } from 'tsforge'
import type { Feature } from 'tsforge'
import { dbPort } from 'tsforge/db'
import { created, route } from 'tsforge/http'
import { idempotencyPort } from 'tsforge/idempotency'
import { Type } from 'tsforge/schema'

const Payment = Type.Object({ id: Type.String({ format: 'uuid' }) })
const pause = Type.Integer({ minimum: 0, default: 0 })

/** Writes that must happen once, with moments at which a process can be killed or stopped. */
export function payments(): Feature {
  return defineFeature({
    name: 'payments',
    needs: { db: dbPort, idempotency: idempotencyPort },
    migrations: { module: 'payments', directory: new URL('./payments-migrations/', import.meta.url) },
    setup: ({ db, idempotency, clock }) => ({ db, idempotency, clock }),
    routes: ({ db, idempotency, clock }) => [
      route({
        method: 'POST',
        url: '/payments',
        id: 'pay',
        summary: 'Write a payment; the record of its key commits with it',
        access: 'public',
        idempotency: 'required',
        body: Type.Object({ ...Payment.properties, before_ms: pause, after_ms: pause }),
        status: 201,
        data: Payment,
        handler: async ({ body: { id, before_ms: before, after_ms: after } }) => {
          const answer = created({ id }, { location: `/payments/${id}` })
          await db.tx(async (tx) => {
            // No unique key: only the record of the request keeps a second payment away.
            await tx.query('insert into payments (id) values ($1)', [id])
            await clock.sleep(before)
            await idempotency.inTransaction(tx, answer)
          })
          await clock.sleep(after)
          return answer
        },
      }),
    ],
  })
}
