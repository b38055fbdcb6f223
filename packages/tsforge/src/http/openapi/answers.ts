import type { ValidateFunction } from 'ajv/dist/2020.js'
import { newAjv } from '../ajv.ts'
import { formats } from '../formats.ts'
import { openApiPath } from './document.ts'
import type { OpenApiDocument } from './document.ts'

/** An answer as a test saw it. */
export interface SeenAnswer {
  readonly method: string
  /** The route's own template, e.g. `/notes/:id`; `undefined` when no route was meant to match. */
  readonly url: string | undefined
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

interface Response {
  readonly $ref?: string
  readonly headers?: Readonly<Record<string, { readonly $ref?: string; readonly required?: boolean }>>
  readonly content?: Readonly<Record<string, unknown>>
}

/** Checks answers against the document: status, media type, required headers and body. Returns what does not fit. */
export function answerValidator(document: OpenApiDocument): (answer: SeenAnswer) => readonly string[] {
  const ajv = newAjv({ strict: false, allErrors: true, validateSchema: false })
  for (const [name, validate] of Object.entries(formats)) ajv.addFormat(name, validate)
  ajv.addSchema(document, 'openapi.json')
  const compiled = new Map<string, ValidateFunction>()
  const at = (pointer: readonly string[]): unknown =>
    pointer.reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], document)
  const follow = (pointer: readonly string[]): readonly string[] => {
    const ref = (at(pointer) as Response | undefined)?.$ref
    return ref === undefined ? pointer : ref.slice(2).split('/')
  }

  return ({ method, url, status, headers, body }) => {
    const verb = method.toLowerCase() === 'head' ? 'get' : method.toLowerCase()
    const operation = url === undefined ? undefined : ['paths', openApiPath(url), verb]
    if (operation !== undefined && at(operation) === undefined) return [`${method} ${url!} is not in the document`]
    const responses = [...(operation ?? []), 'responses']
    const declared = operation !== undefined && at([...responses, String(status)]) !== undefined
    if (!declared && status < 400) return operation === undefined ? [] : [`status ${status} is not declared`]
    const place = declared ? follow([...responses, String(status)]) : ['components', 'responses', 'Error']
    const response = at(place) as Response
    const faults: string[] = []
    for (const [name, header] of Object.entries(response.headers ?? {})) {
      const resolved = (header.$ref === undefined ? header : at(header.$ref.slice(2).split('/'))) as {
        readonly required?: boolean
      }
      if (resolved.required === true && headers[name.toLowerCase()] === undefined)
        faults.push(`header ${name} is missing`)
    }
    if (response.content === undefined) return body === '' ? faults : [...faults, `status ${status} must have no body`]
    if (method.toUpperCase() === 'HEAD') return faults
    const contentType = headers['content-type']
    const type = typeof contentType === 'string' ? contentType.split(';')[0]!.trim() : ''
    if (!Object.hasOwn(response.content, type))
      return [...faults, `content type "${type}" is not declared for status ${status}`]
    if (!/[/+]json$/.test(type)) return faults
    const pointer = `#/${[...place, 'content', type, 'schema'].map((key) => encodeURIComponent(key.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`
    let validate = compiled.get(pointer)
    if (validate === undefined) compiled.set(pointer, (validate = ajv.compile({ $ref: `openapi.json${pointer}` })))
    if (!validate(JSON.parse(body)))
      for (const error of validate.errors ?? [])
        faults.push(`body${error.instancePath} ${error.message ?? error.keyword} ${JSON.stringify(error.params)}`)
    return faults
  }
}
