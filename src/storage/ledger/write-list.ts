import type { Policy } from '#core/admission.ts'
import type { Value } from '#storage/schema/write.ts'
import { createAddressBook } from './address-book.ts'
import type { LedgerChanges } from './changes.ts'
import { createReportedNames, type ReportedNames } from './reported-models.ts'
import { type RollUp, rollUpsOf } from './roll-ups.ts'
import type { LoadedUser } from './state.ts'
import { lateRequests } from './user-requests.ts'
import type { WriteName } from './writes.ts'
import {
  toBookedAdjustment,
  toBookedBeside,
  toBookedEvent,
  toBookedThroughValues,
  toClosedValues,
  toOpenedThroughValues,
  toOpenedValues,
  toUsageValues,
  toWeighedValues,
} from './written-rows.ts'

/** An address to store; `new` where it is not remembered, so that the user may have one too many now. */
export interface DueAddress {
  readonly userId: string
  readonly address: string
  readonly due: 'new' | 'again'
}

/** Executes writes, at once or together at the end. */
export interface WriteTarget {
  readonly write: (name: WriteName, row: readonly Value[]) => void
  readonly writeAddress: (address: DueAddress, now: number) => void
}

/** The writes that a batch leads to, the same for either engine: an engine loads what a batch needs and executes them. */
export interface WriteList {
  /**
   * Hands over each row that the batch writes, in the order of writing; no two rows of one kind have the same key. Call
   * it once a batch: it takes the changes of the loaded users, and remembers addresses as written.
   *
   * @param below every request with an id below it stands in the table by user
   */
  readonly writeTo: (
    target: WriteTarget,
    changes: LedgerChanges,
    users: Iterable<LoadedUser>,
    below: string,
    now: number,
  ) => void
  /** Call it when addresses were written elsewhere, and when a batch was not written after all. */
  readonly forgetAddresses: () => void
  readonly listModels: ReportedNames['list']
}

/** @param shard the shard of the totals that this process writes to */
export function createWriteList(policy: Policy, instance: string, shard: number): WriteList {
  const addressBook = createAddressBook()
  const reportedNames = createReportedNames(policy)

  function writeEntries({ write }: WriteTarget, changes: LedgerChanges, below: string, now: number): void {
    const { opened, closed, beside, counted, adjusted } = changes
    for (const entry of opened) {
      const { frontEndId } = entry
      if (frontEndId === undefined) write('open', toOpenedValues(entry, instance, now))
      else write('openThrough', toOpenedThroughValues(entry, frontEndId, instance, now))
    }
    for (const entry of closed) write('close', toClosedValues(entry))
    for (const one of beside) {
      const { frontEndId } = one.entry
      if (frontEndId === undefined) write('book', toBookedBeside(one, instance))
      else write('bookThrough', toBookedThroughValues(one, frontEndId, instance))
    }
    for (const one of counted) write('book', toBookedEvent(one, instance))
    for (const one of adjusted) write('book', toBookedAdjustment(one, instance))
    for (const late of lateRequests(changes, below, now)) write('late', late)
    for (const { event } of counted) write('event', [event.eventId, now])
  }

  function writeUsage({ write }: WriteTarget, changes: LedgerChanges, now: number): void {
    const { users, minutes, hours } = rollUpsOf(changes, reportedNames, now)
    // Rows without weights need no column for them; most instances write only such rows.
    if (!users.some(hasWeight) && !minutes.some(hasWeight)) {
      for (const row of users) write('minute', [row.userId, row.at, ...toUsageValues(row)])
      for (const row of minutes) write('totalMinute', [row.at, shard, ...toUsageValues(row)])
      for (const row of hours) write('totalHour', [row.at, shard, ...toUsageValues(row)])
      return
    }
    for (const row of users) write('weighedMinute', [row.userId, row.at, ...toWeighedValues(row)])
    for (const row of minutes) write('weighedTotalMinute', [row.at, shard, ...toWeighedValues(row)])
    for (const row of hours) write('weighedTotalHour', [row.at, shard, ...toWeighedValues(row)])
  }

  function writeAddresses(target: WriteTarget, { seen }: LedgerChanges, now: number): void {
    // The book forgets all when it is full, so that an address can be due twice.
    const written = new Set<string>()
    for (const one of seen) {
      const { userId, address } = one
      const due = addressBook.due(one, now)
      if (!due) continue
      const key = `${userId} ${address}`
      if (written.has(key)) continue
      written.add(key)
      target.writeAddress({ userId, address, due }, now)
    }
  }

  return {
    writeTo(target, changes, users, below, now) {
      writeEntries(target, changes, below, now)
      for (const user of users) writeUser(target, user, now)
      if (changes.closed.length > 0 || changes.counted.length > 0) writeUsage(target, changes, now)
      writeAddresses(target, changes, now)
    },
    forgetAddresses: addressBook.forget,
    listModels: reportedNames.list,
  }
}

function hasWeight({ weighing }: RollUp): boolean {
  return weighing !== 0
}

function writeUser({ write }: WriteTarget, user: LoadedUser, now: number): void {
  const {
    id,
    rowKey,
    arrivalAt = null,
    lastUsedAt,
    promptCount,
    disabledAt = now,
    disabledReason = null,
  } = user
  if (user.isChanged) write('user', [arrivalAt, lastUsedAt, promptCount, rowKey])
  if (user.isBlocked) write('block', [disabledAt, disabledReason, id])
  for (const quota of user.quotas.values()) {
    if (!quota.isChanged) continue
    const { family, extra, used, reserved, openRequests, periodStartedAt } = quota
    const row = [extra, used, reserved, openRequests, periodStartedAt, id, family]
    write(quota.isStored ? 'quota' : 'newQuota', row)
    // The next batch may use the same object.
    quota.isStored = true
    quota.isChanged = false
  }
}
