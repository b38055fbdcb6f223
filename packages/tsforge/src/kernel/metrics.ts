export type Labels = Readonly<Record<string, string>>

export interface Counter {
  add(value?: number, labels?: Labels): void
}
export interface Gauge {
  set(value: number, labels?: Labels): void
}
export interface Histogram {
  /** Seconds for durations, bytes for sizes (Prometheus' base units). */
  observe(value: number, labels?: Labels): void
}

export interface MetricOptions {
  readonly help: string
  readonly labelNames?: readonly string[]
}

/** The app's metrics registry. Asking twice for a name returns the same metric. */
export interface Metrics {
  counter(name: string, options: MetricOptions): Counter
  gauge(name: string, options: MetricOptions & { /** Read at scrape time. */ readonly collect?: () => number }): Gauge
  histogram(name: string, options: MetricOptions & { readonly buckets?: readonly number[] }): Histogram
  /** Prometheus text exposition, version 0.0.4. */
  render(): string
}
