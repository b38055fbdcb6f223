import { route } from '../../http/route.ts'
import type { Route } from '../../http/route.ts'
import { Type } from '../../http/schema.ts'
import { jwksMaxAgeMs } from './key-keeper.ts'
import type { Keys } from './keys.ts'

const Jwk = Type.Object(
  {
    kty: Type.String(),
    kid: Type.String(),
    alg: Type.String(),
    use: Type.Literal('sig'),
    crv: Type.Optional(Type.String()),
    x: Type.Optional(Type.String()),
    y: Type.Optional(Type.String()),
    n: Type.Optional(Type.String()),
    e: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
)

export function keysRoutes(keys: Keys): readonly Route[] {
  return [
    route({
      method: 'GET',
      url: '/.well-known/jwks.json',
      id: 'getJwks',
      summary: 'Public keys that verify the tokens of this service',
      description:
        'A JSON Web Key Set (RFC 7517). Contains the next key before it is used, and retired keys until their last token has expired.',
      tags: ['keys'],
      access: 'public',
      data: Type.Object({ keys: Type.Array(Jwk) }),
      plain: { contentType: 'application/jwk-set+json' },
      cacheControl: `public, max-age=${jwksMaxAgeMs / 1000}, must-revalidate`,
      vital: true,
      handler: () => keys.jwks(),
    }),
  ]
}
