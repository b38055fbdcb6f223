import type { LightMyRequestResponse as Injected } from 'fastify'
import type { App } from '../host/app.ts'
import type { Route } from '../http/route.ts'

type Matcher = (method: string, path: string) => Route | undefined

const matchers = new WeakMap<App, Matcher>()

/** What in `answer` does not fit the app's OpenAPI document; hidden routes promise nothing. */
export function explain(app: App, method: string, url: string, answer: Injected): readonly string[] {
  let match = matchers.get(app)
  if (match === undefined) matchers.set(app, (match = matcherOf(app.routes)))
  const route = match(method, new URL(url, 'http://localhost').pathname)
  if (route?.hidden === true) return []
  return app.http.validateAnswer({
    method,
    url: route?.url,
    status: answer.statusCode,
    headers: answer.headers,
    body: answer.payload,
  })
}

/** Finds the route of a request as the router does: fixed segments before parameters. */
function matcherOf(routes: readonly Route[]): Matcher {
  const patterns = routes.map((route) => ({
    route,
    pattern: patternOf(route.url),
    parameters: route.url.split(':').length,
  }))
  patterns.sort((a, b) => a.parameters - b.parameters)
  return (method, path) => {
    const verb = method === 'HEAD' ? 'GET' : method
    return patterns.find(({ route, pattern }) => route.method === verb && pattern.test(path))?.route
  }
}

function patternOf(url: string): RegExp {
  const segments = url
    .split('/')
    .map((segment) => (segment.startsWith(':') ? '[^/]+' : segment.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
  return new RegExp(`^${segments.join('/')}$`)
}
