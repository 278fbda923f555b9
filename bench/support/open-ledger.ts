import * as metering from '#metering/batcher.ts'

type Named = Partial<Record<'openLedger' | 'openMeter', typeof metering.openLedger>>

const { openLedger: opened, openMeter }: Named = metering

/** What admits and settles, by the name that it has in the revision that runs: earlier ones call it `openMeter`. */
export function openLedger(...args: Parameters<typeof metering.openLedger>) {
  const open = opened ?? openMeter
  if (!open) throw new Error('this revision exports neither openLedger nor openMeter')
  return open(...args)
}
