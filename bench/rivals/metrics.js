// prom-client as its documentation shows it: one histogram by method, route and status.
import { Histogram, register } from 'prom-client'

const histogram = new Histogram({
  name: 'http_request_duration_seconds',
  help: 'Duration of requests.',
  labelNames: ['method', 'route', 'status'],
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
})

export const observe = (method, route, status, seconds) => histogram.observe({ method, route, status }, seconds)
export const render = () => register.metrics()
