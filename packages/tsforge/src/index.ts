export { defineFeature } from './http/feature.ts'
export type { Feature } from './http/feature.ts'
