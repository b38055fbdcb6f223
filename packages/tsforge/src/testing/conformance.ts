import type { Response as Injected } from 'light-my-request'
import type { HttpServer } from '../http/index.ts'

export function explain(_http: HttpServer, _method: string, _url: string, _answer: Injected): readonly string[] {
  return []
}
