export { createStorage } from './create-storage.ts'
export { dispositionText } from './described.ts'
export type * from './driver.ts'
export { checkConditions, compareKeys, resolveRange } from './driver.ts'
export { storageErrors } from './errors.ts'
export type { StorageErrorCode } from './errors.ts'
export { failureChannel } from './events.ts'
export type { StorageFailureEvent } from './events.ts'
export { storage } from './plugin.ts'
export { storagePort } from './storage.ts'
export type {
  AllowedSize,
  Body,
  CopyOptions,
  DescribedObject,
  Disposition,
  GetOptions,
  ListOptions,
  PresignGetOptions,
  PresignPostOptions,
  PresignPutOptions,
  PutOptions,
  RootStorage,
  Storage,
  StorageSettings,
  StoredObject,
} from './storage.ts'
