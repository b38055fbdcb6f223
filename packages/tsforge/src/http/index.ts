export { created, noContent, reply } from './answer.ts'
export { httpErrors } from './errors.ts'
export type { HttpErrorCode } from './errors.ts'
export type {
  Around,
  AroundCall,
  AroundSpec,
  Authenticator,
  Authorizer,
  Credentials,
  ExtensionDocs,
  Gate,
  GateCall,
  GateSpec,
  PermissionSpec,
  Recheck,
  RenderedAnswer,
  SecurityScheme,
  TenantGate,
} from './feature.ts'
export { httpOptions } from './options.ts'
export type { HttpOptions } from './options.ts'
export type { SeenAnswer } from './openapi/answers.ts'
export type { OpenApiDocument } from './openapi/document.ts'
export * from './cursors.ts'
export * from './page-errors.ts'
export * from './pagination.ts'
export * from './precondition.ts'
export { live } from './live.ts'
export type { LiveSource } from './live.ts'
export type { Standing } from './standing.ts'
export { idempotencyOf, route } from './route.ts'
export type {
  Access,
  Answer,
  AnySchema,
  Call,
  IdempotencyMode,
  Infer,
  Method,
  PreconditionMode,
  Route,
  RouteLimits,
  RouteSpec,
  StandardJsonSchema,
  TenantMode,
} from './route.ts'
export { createHttp } from './server.ts'
export type { HttpServer } from './server.ts'
export type { HttpSettings, NamedAuthenticator } from './site.ts'
