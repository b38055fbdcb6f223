import { lookup } from 'node:dns/promises'
import { connect, isIP } from 'node:net'
import type { BlockList, Socket } from 'node:net'
import { isIn, isPublicAddress } from './addresses.ts'
import { egressErrors } from './errors.ts'
import { isLocalName } from './target.ts'

/** All addresses of a name. Default: the system's resolver. */
export type Resolve = (host: string) => Promise<readonly string[]>

/** Opens a connection to one of the addresses, which have all been looked at. Default: `net.connect`. */
export type Dial = (addresses: readonly string[], port: number) => Socket

export const systemResolve: Resolve = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address)

/** Tries the addresses in turn, as browsers do (RFC 8305). */
export const systemDial: Dial = (addresses, port) =>
  connect({
    host: addresses[0]!,
    port,
    noDelay: true,
    keepAlive: true,
    autoSelectFamily: true,
    // What was checked is what is dialled: nobody asks DNS a second time.
    lookup: (_host, { all }, done) => {
      const found = addresses.map((address) => ({ address, family: isIP(address) }))
      if (all === true) done(null, found)
      else done(null, found[0]!.address, found[0]!.family)
    },
  })

/** Whether a connection to this address may exist. */
export function isWelcome(address: string, allowed: BlockList): boolean {
  return isPublicAddress(address) || isIn(allowed, address)
}

/** The addresses of a host, when every one of them may be called; one private among them refuses all. */
export async function addressesOf(host: string, resolve: Resolve, allowed: BlockList): Promise<readonly string[]> {
  if (isIP(host) !== 0) return checked([host], allowed)
  let found: readonly string[]
  try {
    found = await resolve(host)
  } catch (error) {
    if (isLocalName(host)) throw egressErrors.error('egress.address_refused')
    throw egressErrors.error('egress.unresolvable', { cause: error })
  }
  if (found.length === 0) throw egressErrors.error('egress.unresolvable')
  // A local name is believed where the operator allows the network that it leads to.
  if (isLocalName(host) && !found.every((address) => isIn(allowed, address)))
    throw egressErrors.error('egress.address_refused')
  return checked(found, allowed)
}

function checked(addresses: readonly string[], allowed: BlockList): readonly string[] {
  if (!addresses.every((address) => isWelcome(address, allowed))) throw egressErrors.error('egress.address_refused')
  return addresses
}
