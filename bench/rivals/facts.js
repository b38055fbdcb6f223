// What every server of the benchmark shares: where it listens, the table it reads, the body it validates.

export const port = Number(process.env.PORT)
export const databaseUrl = process.env.DATABASE_URL
export const secret = process.env.BENCH_SECRET
export const origin = 'https://app.example.com'
export const issuer = 'bench'
export const audience = 'bench'
export const bodyLimit = 256 * 1024

/** One select by key, named, so that every server uses a prepared statement. */
export const selectPerson = (id) => ({
  name: 'person',
  text: 'select id, name, email, created_at from bench_people where id = $1',
  values: [id],
})

const item = {
  type: 'object',
  required: ['sku', 'quantity', 'price'],
  additionalProperties: false,
  properties: {
    sku: { type: 'string', minLength: 1, maxLength: 40 },
    quantity: { type: 'integer', minimum: 1, maximum: 1000 },
    price: { type: 'number', minimum: 0 },
  },
}

/** The order that `POST /echo` takes and gives back. */
export const orderSchema = {
  type: 'object',
  required: ['title', 'email', 'active', 'tags', 'items', 'note'],
  additionalProperties: false,
  properties: {
    title: { type: 'string', minLength: 1, maxLength: 200 },
    email: { type: 'string', minLength: 3, maxLength: 254, pattern: '^[^@\\s]+@[^@\\s]+$' },
    active: { type: 'boolean' },
    tags: { type: 'array', maxItems: 20, items: { type: 'string', maxLength: 40 } },
    items: { type: 'array', maxItems: 50, items: item },
    note: { type: 'string', maxLength: 2000 },
  },
}

export const healthSchema = { type: 'object', required: ['status'], properties: { status: { type: 'string' } } }
export const personSchema = {
  type: 'object',
  required: ['id', 'name', 'email', 'created_at'],
  properties: {
    id: { type: 'string' },
    name: { type: 'string' },
    email: { type: 'string' },
    created_at: { type: 'string', format: 'date-time' },
  },
}

const email = /^[^@\s]+@[^@\s]+$/
const text = (value, min, max) => typeof value === 'string' && value.length >= min && value.length <= max
const orderKeys = Object.keys(orderSchema.properties)

/** The same rules as `orderSchema`, by hand. */
export function isOrder(value) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  for (const key in value) if (!orderKeys.includes(key)) return false
  return (
    text(value.title, 1, 200) &&
    text(value.email, 3, 254) &&
    email.test(value.email) &&
    typeof value.active === 'boolean' &&
    Array.isArray(value.tags) &&
    value.tags.length <= 20 &&
    value.tags.every((tag) => text(tag, 0, 40)) &&
    Array.isArray(value.items) &&
    value.items.length <= 50 &&
    value.items.every(isItem) &&
    text(value.note, 0, 2000)
  )
}

function isItem(value) {
  if (typeof value !== 'object' || value === null) return false
  for (const key in value) if (key !== 'sku' && key !== 'quantity' && key !== 'price') return false
  return (
    text(value.sku, 1, 40) &&
    Number.isInteger(value.quantity) &&
    value.quantity >= 1 &&
    value.quantity <= 1000 &&
    typeof value.price === 'number' &&
    value.price >= 0
  )
}
