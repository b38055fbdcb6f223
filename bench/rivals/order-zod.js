import { z } from 'zod'

/** The order of facts.js as a Zod schema. */
export const order = z.strictObject({
  title: z.string().min(1).max(200),
  email: z
    .string()
    .min(3)
    .max(254)
    .regex(/^[^@\s]+@[^@\s]+$/),
  active: z.boolean(),
  tags: z.array(z.string().max(40)).max(20),
  items: z
    .array(
      z.strictObject({ sku: z.string().min(1).max(40), quantity: z.int().min(1).max(1000), price: z.number().min(0) }),
    )
    .max(50),
  note: z.string().max(2000),
})
