export { field } from './fields.ts'
export type {
  AnySchema,
  Field,
  FieldBuilders,
  FieldSettings,
  OptionsOf,
  OptionsSchema,
  RangeSettings,
  SecretSettings,
  Siblings,
  UrlSettings,
} from './fields.ts'
export { ConfigError, configErrors, loadOptions, nearest } from './load-options.ts'
export type { LoadSettings, OptionFault } from './load-options.ts'
export { envExample, optionsTable } from './option-docs.ts'
export { Secret } from './secret.ts'
