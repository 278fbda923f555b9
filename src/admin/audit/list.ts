import type { Operation } from '#admin/operation.ts'
import { answered } from '#admin/request/answer.ts'
import { logUnreadable } from '#admin/request/long-answer.ts'
import { readQuery } from '#admin/request/query.ts'
import type { StoredChange } from '#core/change.ts'
import { answerFile } from './file.ts'
import { parseAuditQuery } from './query.ts'
import { auditQuerySchema, type ChangeAnswer, changeListSchema } from './schemas.ts'

/** GET /admin/audit: who changed what, newest first. */
export const listAudit: Operation = {
  need: 'audit:read',
  tag: 'Audit',
  summary: 'Read who changed what',
  description:
    'Each change of a user or an admin key, by an administrator, a limit, upkeep or a command; failed logins and exports. ' +
    'Newest first, in pages, or with `format` as a file. `AUDIT_RETENTION_DAYS` says how long they are kept.',
  request: { query: auditQuerySchema },
  answer: {
    description: 'Changes',
    schema: changeListSchema,
    ndjson: 'The changes, one object a line: `format=ndjson`.',
    csv: 'The changes as RFC 4180 has them, with a line of names: `format=csv`.',
  },
  refusals: ['bad_request'],
  async handle(c, parts) {
    const asked = readQuery(c, (values) => parseAuditQuery(values, parts.policy.timeZone))
    if (asked.kind === 'refused') return asked
    const { question, format } = asked.value
    if (format !== 'json') return answerFile(c, parts, question.filter, format)
    const { changes, next } = logUnreadable(
      await parts.store.changes.listChanges(question),
      c,
      parts.log,
      'changes that cannot be read were left out of a list',
    )
    return answered({
      changes: changes.map(toAnswer),
      count: changes.length,
      ...(next !== undefined && { nextCursor: String(next) }),
    })
  },
}

function toAnswer(change: StoredChange): ChangeAnswer {
  return {
    ...change,
    ...(change.before && { before: { ...change.before } }),
    ...(change.after && { after: { ...change.after } }),
  }
}
