import { Validator } from '@seriousme/openapi-schema-validator'
import { createTestApp } from 'tsforge/testing'
import { expect, it } from 'vitest'
import config from './forge.config.ts'

interface Document {
  readonly paths: Record<string, Record<string, Operation>>
  readonly components: Record<string, Record<string, object>>
}

interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly security?: readonly object[]
  readonly parameters: readonly { readonly $ref?: string; readonly in?: string; readonly name?: string }[]
  readonly requestBody?: { readonly content: Record<string, { readonly schema: object }> }
  readonly responses: Record<string, Answer & { readonly $ref?: string }>
}

interface Answer {
  readonly content?: Record<string, { readonly schema?: object; readonly examples?: Record<string, { $ref: string }> }>
}

it('documents every operation in full, and writes nothing large twice', async () => {
  await using app = await createTestApp({ config })
  const document = (await app.client.get('/openapi.json')).body as unknown as Document
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => [`${method} ${path}`, operation] as const),
  )
  expect(operations.length).toBeGreaterThan(20)
  for (const [place, { operationId, summary, tags, security, parameters, requestBody, responses }] of operations) {
    const names = parameters.map(({ $ref, in: where, name }) => $ref ?? `${where} ${name}`)
    const codes = Object.entries(responses).filter(([status]) => Number(status) >= 400)
    const bare = codes.filter(([status, { $ref, content }]) => {
      const name = $ref?.split('/').at(-1)
      const answer = name === undefined ? { content } : (document.components['responses']![name] as Answer)
      const examples = Object.entries(answer.content?.['application/json']?.examples ?? {})
      const known = examples.every(([code]) => Object.hasOwn(document.components['examples']!, code))
      return examples.length === 0 || !known || status === 'default'
    })
    const success = Object.entries(responses).filter(([status]) => status.startsWith('2'))
    expect({
      place,
      named: [operationId, summary, tags?.[0]].every((text) => typeof text === 'string' && text !== ''),
      secured: Array.isArray(security),
      repeated: names.filter((name, at) => names.indexOf(name) !== at),
      body: requestBody === undefined || requestBody.content['application/json']?.schema !== undefined,
      successes: success.length,
      described: success.every(
        ([status, { content }]) =>
          status === '204' || Object.values(content ?? {}).every(({ schema }) => schema !== undefined),
      ),
      bare: bare.map(([status]) => status),
    }).toEqual({ place, named: true, secured: true, repeated: [], body: true, successes: 1, described: true, bare: [] })
  }
  expect(operations.filter(([, { security }]) => security!.length > 0).length).toBeGreaterThan(15)
  expect(JSON.stringify(document).length).toBeLessThan(operations.length * 5000)
})

it('is a document that the OpenAPI 3.1 metaschema accepts', async () => {
  await using app = await createTestApp({ config })
  const validator = new Validator()
  const document = (await app.client.get('/openapi.json')).body as unknown as Record<string, unknown>
  expect(await validator.validate(structuredClone(document))).toEqual({ valid: true })
  expect(validator.version).toBe('3.1')
  const broken = { ...structuredClone(document), paths: { '/x': { get: { responses: 'none' } } } }
  expect((await new Validator().validate(broken)).valid).toBe(false)
})
