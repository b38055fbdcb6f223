/** Preloaded by `node --import`: this process' wall clock is off by CLOCK_SKEW_MS. */
const skewMs = Number(process.env['CLOCK_SKEW_MS'])
const Real = Date

class Skewed extends Real {
  constructor(...given: [] | [number | string | Date]) {
    super(given.length === 0 ? Real.now() + skewMs : given[0])
  }
  static override now(): number {
    return Real.now() + skewMs
  }
}

globalThis.Date = new Proxy(Skewed, {
  // `new Date(2020, 1, 2)` and `Date()` as ever.
  construct: (target, given, own) =>
    given.length > 1
      ? (Reflect.construct(Real, given, own) as Date)
      : (Reflect.construct(target, given as [], own) as Date),
  apply: () => new Skewed().toString(),
}) as unknown as DateConstructor

export {}
