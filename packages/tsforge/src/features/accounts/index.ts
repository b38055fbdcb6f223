export { accountsPort, createAccounts } from './accounts.ts'
export type { Accounts, AccountsParts, RunningAccounts } from './accounts.ts'
export type { Authenticate } from './authenticate.ts'
export { accountsErrors } from './errors.ts'
export type { AccountsErrorCode } from './errors.ts'
export { refreshReused, sessionRevoked, userLoggedIn, userPasswordChanged, userRegistered } from './events.ts'
export type {
  RefreshReused,
  RevocationReason,
  SessionRevoked,
  UserLoggedIn,
  UserPasswordChanged,
  UserRegistered,
} from './events.ts'
export type { Hasher } from './hasher.ts'
export type { AccountsListener } from './listener.ts'
export type { Login } from './login.ts'
export { accountsOptions } from './options.ts'
export type { AccountsOptions } from './options.ts'
export type { PasswordChange } from './password.ts'
export type { Device } from './person.ts'
export { accounts } from './plugin.ts'
export type { Registration, SignedIn } from './register.ts'
export type { Session } from './session-repository.ts'
export type { TokenPair } from './tokens.ts'
export type { User } from './user-repository.ts'
