import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Type } from 'typebox'
import { reply } from './answer.ts'
import { httpErrors } from './errors.ts'
import { route } from './route.ts'
import type { Route } from './route.ts'
import { docsPolicy } from './security-headers.ts'

/** The only files that /docs/ serves: name → media type. */
const assets: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
}

// Starts the page from a file: the content policy allows no inline script. `validatorUrl` would call a foreign host.
const start = `SwaggerUIBundle({ url: 'openapi.json', dom_id: '#docs', deepLinking: true, displayRequestDuration: true, persistAuthorization: false, validatorUrl: null })\n`

function page(title: string): string {
  const safe = title.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${safe}</title>
<link rel="icon" type="image/png" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
`
}

/** `/openapi.json` and the page at `/docs`, all from this machine. Nothing is read before somebody asks. */
export function docsRoutes(title: string, documentText: () => string): readonly Route[] {
  const files = new Map<string, Promise<Buffer>>()
  const read = (name: string): Promise<Buffer> => {
    let file = files.get(name)
    if (file === undefined) {
      const folder = join(dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui')), 'static')
      file = readFile(join(folder, name))
      // A failure is told now and tried again next time.
      file.catch(() => files.delete(name))
      files.set(name, file)
    }
    return file
  }
  const policy = { 'content-security-policy': docsPolicy }
  const html = page(title)
  return [
    route({
      method: 'GET',
      url: '/openapi.json',
      id: 'getOpenApiDocument',
      summary: 'The OpenAPI document',
      access: 'public',
      hidden: true,
      cacheControl: 'no-cache',
      plain: { contentType: 'application/json; charset=utf-8' },
      data: Type.String(),
      handler: documentText,
    }),
    route({
      method: 'GET',
      url: '/docs',
      id: 'getDocs',
      summary: 'The documentation page',
      access: 'public',
      hidden: true,
      cacheControl: 'no-cache',
      plain: { contentType: 'text/html; charset=utf-8' },
      data: Type.String(),
      handler: () => reply(html, { headers: policy }),
    }),
    route({
      method: 'GET',
      url: '/docs/:file',
      id: 'getDocsFile',
      summary: 'A file of the documentation page',
      access: 'public',
      hidden: true,
      cacheControl: 'public, max-age=3600',
      plain: { contentType: 'application/octet-stream' },
      params: Type.Object({ file: Type.String({ maxLength: 100 }) }),
      data: Type.Unknown(),
      handler: async ({ params: { file } }) => {
        if (file === 'start.js')
          return reply<unknown>(start, { headers: { ...policy, 'content-type': 'text/javascript; charset=utf-8' } })
        if (!Object.hasOwn(assets, file)) throw httpErrors.error('http.not_found')
        return reply<unknown>(await read(file), { headers: { ...policy, 'content-type': assets[file]! } })
      },
    }),
  ]
}
