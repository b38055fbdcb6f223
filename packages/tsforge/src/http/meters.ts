import type { Counter, CounterSeries, Histogram, HistogramSeries, Metrics } from '../kernel/metrics.ts'

const durationBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const classes = ['1xx', '2xx', '3xx', '4xx', '5xx'] as const

/** The server's metrics. Series are looked up once per route and status class, never per request. */
export class Meters {
  inFlight = 0
  readonly shed: Counter
  readonly #requests: Counter
  readonly #durations: Histogram

  constructor(metrics: Metrics) {
    const labelNames = ['method', 'route', 'status']
    this.#requests = metrics.counter('http_requests_total', {
      help: 'Requests answered, by method, route template and status class.',
      labelNames,
    })
    this.#durations = metrics.histogram('http_request_duration_seconds', {
      help: 'Time from the arrival of the headers to the answer.',
      labelNames,
      buckets: durationBuckets,
    })
    this.shed = metrics.counter('http_requests_shed_total', {
      help: 'Requests refused because the process was overloaded.',
    })
    metrics.gauge('http_requests_in_flight', {
      help: 'Requests that have arrived and are not answered.',
      collect: () => this.inFlight,
    })
  }

  route(method: string, template: string): RouteMeter {
    return new RouteMeter(this.#requests, this.#durations, method, template)
  }
}

export class RouteMeter {
  readonly #requests: Counter
  readonly #durations: Histogram
  readonly #method: string
  readonly #route: string
  readonly #series: ({ readonly count: CounterSeries; readonly time: HistogramSeries } | undefined)[] = [
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]

  constructor(requests: Counter, durations: Histogram, method: string, route: string) {
    this.#requests = requests
    this.#durations = durations
    this.#method = method
    this.#route = route
  }

  record(status: number, durationMs: number): void {
    const at = Math.trunc(status / 100) - 1
    const { count, time } = (this.#series[at] ??= this.#open(at))
    count.add(1)
    time.observe(durationMs / 1000)
  }

  // At the first answer of its class: a route that never failed shows no empty 5xx series.
  #open(at: number): { readonly count: CounterSeries; readonly time: HistogramSeries } {
    const labels = { method: this.#method, route: this.#route, status: classes[at] ?? '5xx' }
    return { count: this.#requests.labels(labels), time: this.#durations.labels(labels) }
  }
}
