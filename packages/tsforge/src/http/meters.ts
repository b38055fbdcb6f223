import type { Counter, Histogram, Labels, Metrics } from '../kernel/metrics.ts'

const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const classes = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const

/** The server's metrics. Labels are made once per route and status class, never per request. */
export class Meters {
  inFlight = 0
  readonly shed: Counter
  readonly #requests: Counter
  readonly #durations: Histogram

  constructor(metrics: Metrics) {
    const labelNames = ['method', 'route', 'status']
    this.#requests = metrics.counter('http_requests_total', { help: 'Requests answered, by route template and status class.', labelNames })
    this.#durations = metrics.histogram('http_request_duration_seconds', { help: 'Time from the arrival of the headers to the answer.', labelNames, buckets: durationBuckets })
    this.shed = metrics.counter('http_requests_shed_total', { help: 'Requests refused because the process was overloaded.' })
    metrics.gauge('http_requests_in_flight', { help: 'Requests that have arrived and are not answered.', collect: () => this.inFlight })
  }

  route(method: string, template: string): RouteMeter {
    return new RouteMeter(this.#requests, this.#durations, method, template)
  }
}

export class RouteMeter {
  readonly #requests: Counter
  readonly #durations: Histogram
  readonly #labels: readonly Labels[]

  constructor(requests: Counter, durations: Histogram, method: string, route: string) {
    this.#requests = requests
    this.#durations = durations
    this.#labels = classes.map((status) => Object.freeze({ method, route, status }))
  }

  record(status: number, durationMs: number): void {
    const labels = this.#labels[Math.trunc(status / 100) - 1]!
    this.#requests.add(1, labels)
    this.#durations.observe(durationMs / 1000, labels)
  }
}
