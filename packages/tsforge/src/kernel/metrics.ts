export type Labels = Readonly<Record<string, string>>

export interface CounterSeries {
  add(value?: number): void
}
export interface GaugeSeries {
  set(value: number): void
  add(value?: number): void
}
export interface HistogramSeries {
  observe(value: number): void
}

export interface Counter {
  /** Counts `value` (default 1, never negative). */
  add(value?: number, labels?: Labels): void
  /** The series of one set of labels: look it up once, then count without any look-up. */
  labels(labels: Labels): CounterSeries
  /** A series whose value is read at scrape time, for what is counted elsewhere already; the latest `read` counts. */
  collect(labels: Labels, read: () => number): void
}
export interface Gauge {
  set(value: number, labels?: Labels): void
  /** Moves the gauge by `value` (default 1, may be negative). */
  add(value?: number, labels?: Labels): void
  labels(labels: Labels): GaugeSeries
}
export interface Histogram {
  /** Seconds for durations, bytes for sizes (Prometheus' base units). */
  observe(value: number, labels?: Labels): void
  labels(labels: Labels): HistogramSeries
}

export interface MetricOptions {
  readonly help: string
  /** A label that is not given is empty. */
  readonly labelNames?: readonly string[]
}

export type GaugeOptions = MetricOptions & {
  /** Read at scrape time, in place of `set`; the latest one given counts. Not for gauges with labels. */
  readonly collect?: () => number
}
export type HistogramOptions = MetricOptions & {
  /** Upper bounds, ascending, without `+Inf`. */
  readonly buckets?: readonly number[]
}

/** The app's metrics registry. Asking twice for a name returns the same metric. */
export interface Metrics {
  counter(name: string, options: MetricOptions): Counter
  gauge(name: string, options: GaugeOptions): Gauge
  histogram(name: string, options: HistogramOptions): Histogram
  /** Prometheus text exposition, version 0.0.4. */
  render(): string
}

/** `Content-Type` of what `render` returns. */
export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8'

/** Seconds; suits requests and queries. */
export const defaultBuckets: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

export interface MetricsSettings {
  /** Sets of labels that one metric may hold, default 1000. Further ones are folded into one, all of whose labels are `other`. */
  readonly maxSeries?: number
}

/**
 * A registry of counters, gauges and histograms. Bad values (a negative count, NaN) and folded sets of labels
 * never throw where they happen: `forge_metrics_rejected_total` and `forge_metrics_folded_total` tell.
 */
export function createMetrics({ maxSeries = 1000 }: MetricsSettings = {}): Metrics {
  const families = new Map<string, Family<Series>>()
  const taken = new Set<string>()

  const family = <S extends Series>(kind: Kind, name: string, options: MetricOptions, create: () => S): Family<S> => {
    const labelNames = options.labelNames ?? []
    const known = families.get(name)
    if (known !== undefined) {
      if (known.kind !== kind || known.labelNames.join() !== labelNames.join()) {
        throw new TypeError(
          `metric "${name}" exists already as a ${known.kind} with the labels [${known.labelNames.join()}]`,
        )
      }
      return known as Family<S>
    }
    checkNames(kind, name, labelNames)
    const exposed = kind === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`, name] : [name]
    for (const line of exposed)
      if (taken.has(line)) throw new TypeError(`metric "${name}" would expose "${line}" a second time`)
    for (const line of exposed) taken.add(line)
    const made = new Family<S>(kind, name, options.help, labelNames, create, maxSeries, () =>
      folded.add(1, { metric: name }),
    )
    families.set(name, made)
    return made
  }
  const counter = (name: string, options: MetricOptions): Counter =>
    new CounterMetric(family('counter', name, options, () => new CounterValue(() => rejected.add(1, { metric: name }))))

  // Both may hold a series for every metric: the number of metrics is bounded by the code.
  const folded: Counter = counter('forge_metrics_folded_total', {
    help: 'Values counted under "other" because a metric has too many sets of labels.',
    labelNames: ['metric'],
  })
  const rejected: Counter = counter('forge_metrics_rejected_total', {
    help: 'Values dropped because they are no number or a negative count.',
    labelNames: ['metric'],
  })

  return {
    counter,
    gauge(name, options: GaugeOptions) {
      if (options.collect !== undefined && (options.labelNames?.length ?? 0) > 0)
        throw new TypeError(`gauge "${name}" has both labels and collect`)
      const found = family('gauge', name, options, () => new GaugeValue())
      if (options.collect !== undefined) found.get().collect = options.collect
      return new GaugeMetric(found)
    },
    histogram(name, options: HistogramOptions) {
      const bounds = options.buckets ?? defaultBuckets
      if (
        bounds.length === 0 ||
        bounds.some((bound, i) => !Number.isFinite(bound) || (i > 0 && bound <= bounds[i - 1]!))
      ) {
        throw new TypeError(`histogram "${name}" needs ascending, finite buckets`)
      }
      return new HistogramMetric(
        family('histogram', name, options, () => new HistogramValue(bounds, () => rejected.add(1, { metric: name }))),
      )
    },
    render: () => [...families.values()].map((each) => each.render()).join(''),
  }
}

type Kind = 'counter' | 'gauge' | 'histogram'

interface Series {
  /** Sample lines; `labels` is `a="b",c="d"` or empty. */
  lines(name: string, labels: string): string
}

function checkNames(kind: Kind, name: string, labelNames: readonly string[]): void {
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new TypeError(`"${name}" is no metric name`)
  for (const label of labelNames) {
    if (!/^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(label) || (kind === 'histogram' && label === 'le')) {
      throw new TypeError(`"${label}" cannot be a label of metric "${name}"`)
    }
  }
  if (new Set(labelNames).size < labelNames.length) throw new TypeError(`metric "${name}" names a label twice`)
}

const maxLabelLength = 200

/** All series of one metric, by the values of their labels. */
class Family<S extends Series> {
  readonly kind: Kind
  readonly labelNames: readonly string[]
  readonly #name: string
  readonly #help: string
  readonly #create: () => S
  readonly #max: number
  readonly #onFold: () => void
  readonly #series = new Map<string, { readonly values: readonly string[]; readonly series: S }>()
  #plain: S | undefined
  #other: S | undefined

  constructor(
    kind: Kind,
    name: string,
    help: string,
    labelNames: readonly string[],
    create: () => S,
    max: number,
    onFold: () => void,
  ) {
    this.kind = kind
    this.#name = name
    this.#help = help
    this.labelNames = labelNames
    this.#create = create
    this.#max = max
    this.#onFold = onFold
    if (labelNames.length === 0) this.#plain = create()
  }

  get(labels?: Labels): S {
    if (this.#plain !== undefined && labels === undefined) return this.#plain
    const values = this.labelNames.map((name) => labels?.[name] ?? '')
    return this.#series.get(keyOf(values))?.series ?? this.#add(values, labels)
  }

  #add(raw: readonly string[], labels: Labels = {}): S {
    for (const name of Object.keys(labels)) {
      if (!this.labelNames.includes(name)) throw new TypeError(`metric "${this.#name}" has no label "${name}"`)
    }
    if (this.#plain !== undefined) return this.#plain
    // Values that would look alike on the wire must share a series: a scrape with a double line is refused as a whole.
    const values = raw.map((value) => String(value).slice(0, maxLabelLength).toWellFormed())
    const key = keyOf(values)
    const known = this.#series.get(key)
    if (known !== undefined) return known.series
    if (this.#series.size >= this.#max || values.every((value) => value === 'other')) {
      if (this.#series.size >= this.#max) this.#onFold()
      return (this.#other ??= this.#create())
    }
    const series = this.#create()
    this.#series.set(key, { values, series })
    return series
  }

  render(): string {
    let text = `# HELP ${this.#name} ${this.#help.replace(/[\\\n]/g, escape)}\n# TYPE ${this.#name} ${this.kind}\n`
    if (this.#plain !== undefined) text += this.#plain.lines(this.#name, '')
    for (const { values, series } of this.#series.values()) text += series.lines(this.#name, this.#labelText(values))
    if (this.#other !== undefined)
      text += this.#other.lines(this.#name, this.#labelText(this.labelNames.map(() => 'other')))
    return text
  }

  #labelText(values: readonly string[]): string {
    return this.labelNames.map((name, i) => `${name}="${values[i]!.replace(/[\\\n"]/g, escape)}"`).join(',')
  }
}

function keyOf(values: readonly string[]): string {
  if (values.length === 1) return values[0]!
  let key = ''
  // The length in front keeps ("a", "bc") and ("ab", "c") apart.
  for (const value of values) key += `${value.length}:${value}`
  return key
}

function escape(char: string): string {
  return char === '\n' ? '\\n' : `\\${char}`
}

function sample(name: string, labels: string, value: number): string {
  const text = Number.isFinite(value) ? String(value) : Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
  return labels === '' ? `${name} ${text}\n` : `${name}{${labels}} ${text}\n`
}

function collected(name: string, labels: string, value: number, collect: (() => number) | undefined): string {
  try {
    return sample(name, labels, collect === undefined ? value : collect())
  } catch {
    // One broken reader must not cost the whole scrape; its absence shows.
    return ''
  }
}

class CounterValue implements Series, CounterSeries {
  collect: (() => number) | undefined
  #value = 0
  readonly #reject: () => void

  constructor(reject: () => void) {
    this.#reject = reject
  }
  add(value = 1): void {
    if (value >= 0 && value < Number.POSITIVE_INFINITY) this.#value += value
    else this.#reject()
  }
  lines(name: string, labels: string): string {
    return collected(name, labels, this.#value, this.collect)
  }
}

class GaugeValue implements Series, GaugeSeries {
  collect: (() => number) | undefined
  #value = 0

  set(value: number): void {
    this.#value = value
  }
  add(value = 1): void {
    this.#value += value
  }
  lines(name: string, labels: string): string {
    return collected(name, labels, this.#value, this.collect)
  }
}

class HistogramValue implements Series, HistogramSeries {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  readonly #reject: () => void
  #sum = 0

  constructor(bounds: readonly number[], reject: () => void) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
    this.#reject = reject
  }
  observe(value: number): void {
    if (!Number.isFinite(value)) return this.#reject()
    const bounds = this.#bounds
    let at = 0
    while (at < bounds.length && value > bounds[at]!) at++
    this.#counts[at]!++
    this.#sum += value
  }
  lines(name: string, labels: string): string {
    const before = labels === '' ? '' : `${labels},`
    let total = 0
    let text = ''
    for (const [i, count] of this.#counts.entries()) {
      total += count
      const bound = i < this.#bounds.length ? String(this.#bounds[i]) : '+Inf'
      text += sample(`${name}_bucket`, `${before}le="${bound}"`, total)
    }
    return text + sample(`${name}_sum`, labels, this.#sum) + sample(`${name}_count`, labels, total)
  }
}

class CounterMetric implements Counter {
  readonly #family: Family<CounterValue>

  constructor(family: Family<CounterValue>) {
    this.#family = family
  }
  add(value = 1, labels?: Labels): void {
    this.#family.get(labels).add(value)
  }
  labels(labels: Labels): CounterSeries {
    return this.#family.get(labels)
  }
  collect(labels: Labels, read: () => number): void {
    this.#family.get(labels).collect = read
  }
}

class GaugeMetric implements Gauge {
  readonly #family: Family<GaugeValue>

  constructor(family: Family<GaugeValue>) {
    this.#family = family
  }
  set(value: number, labels?: Labels): void {
    this.#family.get(labels).set(value)
  }
  add(value = 1, labels?: Labels): void {
    this.#family.get(labels).add(value)
  }
  labels(labels: Labels): GaugeSeries {
    return this.#family.get(labels)
  }
}

class HistogramMetric implements Histogram {
  readonly #family: Family<HistogramValue>

  constructor(family: Family<HistogramValue>) {
    this.#family = family
  }
  observe(value: number, labels?: Labels): void {
    this.#family.get(labels).observe(value)
  }
  labels(labels: Labels): HistogramSeries {
    return this.#family.get(labels)
  }
}
