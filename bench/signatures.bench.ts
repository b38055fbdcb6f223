/** Webhooks signed and verified per second against the package of the Standard Webhooks project, with a body of 2 KiB, as an invoice or a small push has. */
import { Webhook } from 'standardwebhooks'
import { newStandardSecret, signStandard, standard, standardKey } from 'tsforge/signatures'
import type { Bench, Settings } from './bench.ts'
import { claim } from './statistics.ts'
import type { Claim } from './statistics.ts'

const secret = newStandardSecret()
const body = JSON.stringify({
  type: 'order.placed',
  timestamp: '2026-11-23T10:00:00.000Z',
  data: { id: '0197c8f2-7d5e-7c3a-9b1d-2f4e6a8c0b1d', note: 'x'.repeat(1900) },
})
const seconds = Math.floor(Date.now() / 1000)

interface Contestant {
  readonly name: string
  sign(id: string): string
  /** Throws for a signature that is not right. */
  verify(id: string, signature: string): void
}

function ours(): Contestant {
  const key = standardKey(secret)
  const nowMs = Date.now()
  return {
    name: 'ours',
    sign: (id) => signStandard(key, { id, timestamp: seconds, body }),
    verify(id, signature) {
      const verdict = standard.verify(key, { headers: headersOf(id, signature), body, nowMs })
      if (!verdict.ok) throw new Error(verdict.reason)
    },
  }
}

function theirs(): Contestant {
  const webhook = new Webhook(secret)
  const at = new Date(seconds * 1000)
  return {
    name: 'standardwebhooks',
    sign: (id) => webhook.sign(id, at, body),
    // Parsing the body is not part of verifying it.
    verify: (id, signature) => void webhook.verify(body, headersOf(id, signature), { jsonParse: false }),
  }
}

function headersOf(id: string, signature: string): Record<string, string> {
  return { 'webhook-id': id, 'webhook-timestamp': String(seconds), 'webhook-signature': signature }
}

/** Each verifies what the other signs, and refuses what neither did. */
function check(one: Contestant, other: Contestant): void {
  if (one.sign('msg_check') !== other.sign('msg_check')) throw new Error('two signatures of one message differ')
  for (const [signer, verifier] of [
    [one, other],
    [other, one],
  ] as const) {
    verifier.verify('msg_check', signer.sign('msg_check'))
    let refused = false
    try {
      verifier.verify('msg_check', signer.sign('msg_other'))
    } catch {
      refused = true
    }
    if (!refused) throw new Error(`${verifier.name} accepts what was signed for another message`)
  }
}

function rate(work: (turn: number) => void, forSeconds: number): number {
  const begun = performance.now()
  const end = begun + forSeconds * 1000
  let done = 0
  while (performance.now() < end) for (let turn = 0; turn < 256; turn++) work(done++)
  return (done * 1000) / (performance.now() - begun)
}

async function run({ rounds, seconds: duration, note }: Settings): Promise<Claim[]> {
  const contestants = [ours(), theirs()]
  check(contestants[0]!, contestants[1]!)
  const ids = Array.from({ length: 256 }, (_, at) => `msg_${at.toString().padStart(27, '0')}`)
  const signed = ids.map((id) => contestants[0]!.sign(id))
  const results = { sign: new Map<string, number[]>(), verify: new Map<string, number[]>() }
  for (let round = -1; round < rounds; round++) {
    const measured: string[] = []
    // Another one begins each round.
    for (let turn = 0; turn < contestants.length; turn++) {
      const { name, sign, verify } = contestants[(turn + round + 1) % contestants.length]!
      const values = {
        sign: rate((at) => void sign(ids[at & 255]!), duration / 2),
        verify: rate((at) => verify(ids[at & 255]!, signed[at & 255]!), duration / 2),
      }
      for (const kind of ['sign', 'verify'] as const) {
        if (round >= 0) results[kind].set(name, [...(results[kind].get(name) ?? []), values[kind]])
        measured.push(`${name} ${kind} ${Math.round(values[kind] / 1000)}k/s`)
      }
    }
    note(`${round < 0 ? 'warm' : `round ${round + 1} of ${rounds}`}: ${measured.sort().join(', ')}`)
  }
  return (['sign', 'verify'] as const).map((kind) =>
    claim(`signatures.${kind}.standardwebhooks`, results[kind].get('ours')!, results[kind].get('standardwebhooks')!),
  )
}

export const bench: Bench = {
  bars: {
    'signatures.sign.standardwebhooks': { atLeast: 4 },
    'signatures.verify.standardwebhooks': { atLeast: 4 },
  },
  run,
}
