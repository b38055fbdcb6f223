import { created, noContent } from '../../http/answer.ts'
import { route } from '../../http/route.ts'
import type { Call, Route } from '../../http/route.ts'
import { nullable, Timestamp, Type, Uuid } from '../../http/schema.ts'
import type { Static } from '../../http/schema.ts'
import type { Actor } from '../../kernel/context.ts'
import { keysErrors } from '../../primitives/keys/index.ts'
import type { Accounts } from './accounts.ts'
import { accountsErrors } from './errors.ts'
import { maxPasswordBytes, minPasswordCharacters } from './password-policy.ts'
import type { Device } from './person.ts'
import type { Session } from './session-repository.ts'
import type { TokenPair } from './tokens.ts'
import type { User } from './user-repository.ts'

// Addresses are judged by the service, which knows international ones; here only their size.
const email = Type.String({ minLength: 3, maxLength: 254, examples: ['ada@example.org'] })
const password = Type.String({ minLength: 1, maxLength: maxPasswordBytes })
const newPassword = Type.String({
  minLength: minPasswordCharacters,
  maxLength: maxPasswordBytes,
  description: 'At least 8 characters, at most 1024 bytes.',
})

const RegisterBody = Type.Object({ email, password: newPassword, name: Type.String({ minLength: 1, maxLength: 120 }) })
const LoginBody = Type.Object({ email, password })
const RefreshBody = Type.Object({ refresh_token: Type.String({ minLength: 1, maxLength: 4096 }) })
const PasswordBody = Type.Object({ current_password: password, new_password: newPassword })
const SessionParams = Type.Object({ id: Uuid })

const UserData = Type.Object(
  {
    id: Uuid,
    email: Type.String(),
    name: Type.String(),
    role: Type.String(),
    created_at: Timestamp,
    updated_at: Timestamp,
  },
  { $id: 'User' },
)

const TokensData = Type.Object(
  {
    access_token: Type.String(),
    refresh_token: Type.String(),
    token_type: Type.Literal('Bearer'),
    expires_at: Timestamp,
    refresh_expires_at: Timestamp,
  },
  { $id: 'Tokens' },
)

const SignedInData = Type.Object({ user: UserData, tokens: TokensData }, { $id: 'SignedIn' })

const SessionData = Type.Object(
  {
    id: Uuid,
    user_agent: nullable(Type.String()),
    ip: nullable(Type.String()),
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    current: Type.Boolean({ description: 'Whether it is the session that asks.' }),
  },
  { $id: 'Session' },
)

const RevokedData = Type.Object({ revoked: Type.Integer({ minimum: 0 }) })

const throttled = ['accounts.too_many_attempts', 'accounts.busy'] as const
const newPasswordErrors = [
  'user.password_too_short',
  'user.password_too_long',
  'user.password_too_common',
  'user.password_personal',
] as const

export function accountsRoutes(accounts: Accounts): readonly Route[] {
  return [
    route({
      method: 'POST',
      url: '/api/v1/auth/register',
      id: 'register',
      summary: 'Create a user with a personal tenant and sign in',
      tags: ['auth'],
      access: 'public',
      rate: 'register',
      body: RegisterBody,
      status: 201,
      data: SignedInData,
      errors: ['user.email_taken', 'user.email_invalid', 'user.name_invalid', ...newPasswordErrors, 'accounts.busy'],
      handler: async (call) => {
        const { user, tokens } = await accounts.register(call.body, deviceOf(call))
        return created({ user: showUser(user), tokens: showTokens(tokens) }, { location: '/api/v1/auth/me' })
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/auth/login',
      id: 'login',
      summary: 'Sign in with e-mail address and password',
      tags: ['auth'],
      access: 'public',
      rate: 'login',
      body: LoginBody,
      data: SignedInData,
      errors: ['user.invalid_credentials', ...throttled],
      handler: async (call) => {
        const { user, tokens } = await accounts.login(call.body, deviceOf(call))
        return { user: showUser(user), tokens: showTokens(tokens) }
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/auth/refresh',
      id: 'refresh',
      summary: 'Trade a refresh token for the next pair of tokens',
      description:
        'A refresh token works once. Sent again within seconds (a lost answer) it brings the same pair; later it ends the session.',
      tags: ['auth'],
      access: 'public',
      // It has a replay of its own, of seconds: a longer one would hide that two hold the token.
      idempotency: 'refused',
      rate: 'refresh',
      body: RefreshBody,
      data: TokensData,
      errors: ['auth.refresh_invalid', 'auth.refresh_expired', 'auth.session_revoked', 'auth.token_reused'],
      handler: async (call) => showTokens(await accounts.refresh(call.body.refresh_token, deviceOf(call))),
    }),
    route({
      method: 'POST',
      url: '/api/v1/auth/logout',
      id: 'logout',
      summary: 'End the session that asks',
      tags: ['auth'],
      access: 'authenticated',
      tenant: 'none',
      data: null,
      errors: ['auth.session_required'],
      handler: async (call) => {
        const { userId, sessionId } = interactive(call.actor)
        await accounts.logout(userId, sessionId)
        return noContent()
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/auth/me',
      id: 'me',
      summary: 'The user who asks',
      tags: ['auth'],
      access: 'authenticated',
      tenant: 'none',
      data: UserData,
      errors: ['auth.token_invalid'],
      handler: async (call) => {
        const user = call.actor.id === null ? undefined : await accounts.find(call.actor.id)
        // The token was genuine, its user has gone since.
        if (user === undefined) throw keysErrors.error('auth.token_invalid')
        return showUser(user)
      },
    }),
    route({
      method: 'POST',
      url: '/api/v1/auth/password',
      id: 'changePassword',
      summary: 'Change the password and end all other sessions',
      tags: ['auth'],
      access: 'authenticated',
      tenant: 'none',
      body: PasswordBody,
      data: null,
      errors: ['auth.session_required', 'user.invalid_credentials', ...newPasswordErrors, ...throttled],
      handler: async (call) => {
        const { userId, sessionId } = interactive(call.actor)
        const { current_password: currentPassword, new_password: newPassword } = call.body
        await accounts.changePassword(userId, sessionId, { currentPassword, newPassword }, deviceOf(call))
        return noContent()
      },
    }),
    route({
      method: 'GET',
      url: '/api/v1/me/sessions',
      id: 'listSessions',
      summary: 'Where the user is signed in',
      tags: ['sessions'],
      access: 'authenticated',
      tenant: 'none',
      data: Type.Array(SessionData),
      errors: ['auth.session_required'],
      handler: async (call) => {
        const { userId, sessionId } = interactive(call.actor)
        return (await accounts.sessions(userId)).map((session) => showSession(session, sessionId))
      },
    }),
    route({
      method: 'DELETE',
      url: '/api/v1/me/sessions',
      id: 'revokeOtherSessions',
      summary: 'End every session but the one that asks',
      tags: ['sessions'],
      access: 'authenticated',
      tenant: 'none',
      data: RevokedData,
      errors: ['auth.session_required'],
      handler: async (call) => {
        const { userId, sessionId } = interactive(call.actor)
        return { revoked: await accounts.revokeAll(userId, sessionId) }
      },
    }),
    route({
      method: 'DELETE',
      url: '/api/v1/me/sessions/:id',
      id: 'revokeSession',
      summary: 'End one session',
      tags: ['sessions'],
      access: 'authenticated',
      tenant: 'none',
      params: SessionParams,
      data: null,
      errors: ['auth.session_required', 'session.not_found'],
      handler: async (call) => {
        const { userId } = interactive(call.actor)
        await accounts.revoke(userId, call.params.id)
        return noContent()
      },
    }),
  ]
}

function showUser({ id, email, name, role, createdAt, updatedAt }: User): Static<typeof UserData> {
  return { id, email, name, role, created_at: createdAt, updated_at: updatedAt }
}

/** In the words of RFC 6749. */
function showTokens(pair: TokenPair): Static<typeof TokensData> {
  return {
    access_token: pair.accessToken,
    refresh_token: pair.refreshToken,
    token_type: 'Bearer',
    expires_at: pair.expiresAt,
    refresh_expires_at: pair.refreshExpiresAt,
  }
}

function showSession(session: Session, current: string): Static<typeof SessionData> {
  return {
    id: session.id,
    user_agent: session.userAgent,
    ip: session.ip,
    created_at: session.createdAt,
    last_used_at: session.lastUsedAt,
    expires_at: session.expiresAt,
    current: session.id === current,
  }
}

function deviceOf(call: Pick<Call, 'ip' | 'userAgent'>): Device {
  return { ip: call.ip, userAgent: call.userAgent }
}

/** Sessions and passwords are the business of a person who has logged in, not of a key that acts for one. */
function interactive({ kind, id, sessionId }: Actor): { readonly userId: string; readonly sessionId: string } {
  if (kind !== 'user' || id === null || sessionId === undefined) throw accountsErrors.error('auth.session_required')
  return { userId: id, sessionId }
}
