// NestJS on the Fastify adapter: helmet, CORS, @nestjs/jwt on a KeyObject, class-validator, prom-client, and one pino
// line per request from pino-http. Decorators are applied as functions: this file runs as it is.
import 'reflect-metadata'
import { createSecretKey, randomUUID } from 'node:crypto'
import helmet from '@fastify/helmet'
import {
  Body,
  Controller,
  Get,
  HttpCode,
  Inject,
  Module,
  Post,
  Req,
  UnauthorizedException,
  UseGuards,
  ValidationPipe,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { JwtModule, JwtService } from '@nestjs/jwt'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { Type } from 'class-transformer'
import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsInt,
  IsNumber,
  IsString,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
  ValidateNested,
} from 'class-validator'
import pino from 'pino'
import { pinoHttp } from 'pino-http'
import { tap } from 'rxjs'
import { findPerson, pool } from './by-hand.js'
import { audience, bodyLimit, issuer, origin, port, secret } from './facts.js'
import { observe, render } from './metrics.js'

const log = pino({ base: undefined }, pino.destination({ dest: 1, sync: false, minLength: 4096 }))

function decorate(type, members) {
  for (const [name, decorators] of Object.entries(members)) {
    const descriptor = Object.getOwnPropertyDescriptor(type.prototype, name)
    Reflect.decorate(decorators, type.prototype, name, descriptor)
  }
}

class Item {}
decorate(Item, {
  sku: [IsString(), Length(1, 40)],
  quantity: [IsInt(), Min(1), Max(1000)],
  price: [IsNumber(), Min(0)],
})

class Order {}
decorate(Order, {
  title: [IsString(), Length(1, 200)],
  email: [IsString(), Length(3, 254), Matches(/^[^@\s]+@[^@\s]+$/)],
  active: [IsBoolean()],
  tags: [IsArray(), ArrayMaxSize(20), IsString({ each: true }), MaxLength(40, { each: true })],
  items: [IsArray(), ArrayMaxSize(50), ValidateNested({ each: true }), Type(() => Item)],
  note: [IsString(), MaxLength(2000)],
})

class AuthGuard {
  constructor(jwt) {
    this.jwt = jwt
  }
  canActivate(context) {
    const request = context.switchToHttp().getRequest()
    try {
      request.user = this.jwt.verify(request.headers.authorization?.replace(/^Bearer /, '') ?? '')
    } catch {
      throw new UnauthorizedException()
    }
    return true
  }
}
Inject(JwtService)(AuthGuard, undefined, 0)

class AppController {
  healthz() {
    return { status: 'ok' }
  }
  me(request) {
    return findPerson(request.user.sub)
  }
  echo(order) {
    return order
  }
  metrics() {
    return render()
  }
}
decorate(AppController, {
  healthz: [Get('healthz')],
  me: [UseGuards(AuthGuard), Get('me')],
  echo: [HttpCode(200), Post('echo')],
  metrics: [Get('metrics')],
})
Req()(AppController.prototype, 'me', 0)
Body()(AppController.prototype, 'echo', 0)
Reflect.defineMetadata('design:paramtypes', [Order], AppController.prototype, 'echo')
Controller()(AppController)

class AppModule {}
const keys = {
  secret: createSecretKey(Buffer.from(secret)),
  verifyOptions: { algorithms: ['HS256'], issuer, audience },
}
Module({ imports: [JwtModule.register(keys)], controllers: [AppController], providers: [AuthGuard] })(AppModule)

/** Metrics as Nest's documentation has them: a global interceptor. */
class MetricsInterceptor {
  intercept(context, next) {
    const begun = performance.now()
    const http = context.switchToHttp()
    const request = http.getRequest()
    const reply = http.getResponse()
    const done = () =>
      observe(request.method, request.routeOptions.url, reply.statusCode, (performance.now() - begun) / 1000)
    return next.handle().pipe(tap({ complete: done, error: done }))
  }
}

const app = await NestFactory.create(
  AppModule,
  new FastifyAdapter({ bodyLimit, requestIdHeader: 'x-request-id', genReqId: () => randomUUID() }),
  { logger: ['error'] },
)
// What nestjs-pino (which asks for an older Nest) does inside: pino-http as middleware, here cut down to one short line.
app.use((request, response, next) => {
  response.setHeader('x-request-id', request.id)
  next()
})
app.use(
  pinoHttp({
    logger: log,
    quietReqLogger: true,
    // The adapter has made the id; pino-http keeps it.
    customAttributeKeys: { reqId: 'request_id', responseTime: 'ms' },
    customProps: (request, response) => ({
      method: request.method,
      url: request.originalUrl ?? request.url,
      status: response.statusCode,
    }),
    serializers: { req: () => undefined, res: () => undefined },
  }),
)
app.useGlobalInterceptors(new MetricsInterceptor())
await app.register(helmet)
app.enableCors({ origin: [origin] })
app.useGlobalPipes(new ValidationPipe({ whitelist: true, forbidNonWhitelisted: true, transform: true }))

await pool.query('select 1')
await app.listen(port, '127.0.0.1')
process.on('SIGTERM', () => {
  log.flush()
  process.exit(0)
})
