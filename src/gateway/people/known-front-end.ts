import type { FrontEnd } from '#core/front-end.ts'
import { createNetworks, type Networks } from '#core/network.ts'
import { Allowance } from '#lib/allowance.ts'

/** A front end as an instance knows it, with what is made of its settings once. */
export interface KnownFrontEnd extends FrontEnd {
  readonly networks: Networks | undefined
  readonly key: Uint8Array
  /** How many people may be made at once, and how fast. */
  readonly allowance: Allowance
}

/** A name is the client's to choose, so that people are not made as fast as requests come. */
const newPeopleMost = 300
const newPeoplePerSecond = 5

/** @param before as it was known until now: its allowance goes on */
export function toKnown(frontEnd: FrontEnd, before: KnownFrontEnd | undefined): KnownFrontEnd {
  const { networks } = frontEnd.settings
  return {
    ...frontEnd,
    networks: networks && createNetworks(networks),
    key: new TextEncoder().encode(frontEnd.secret ?? ''),
    allowance: before?.allowance ?? new Allowance(newPeopleMost, newPeoplePerSecond, performance.now()),
  }
}
