import type { Migration } from './migration.ts'
import { requestsSoFar } from './requests-so-far.ts'

/**
 * Requests by user in a table of their own, to which upkeep adds them in the background: the index that they had cost
 * each settlement a page of its own. The index, which is dropped last, gives the rows in the order of the table.
 */
export const userRequests: Migration = {
  number: 7,
  name: 'user requests',
  statements: [
    `create table user_requests (
      user_id text not null,
      id text not null,
      primary key (user_id, id)
    ) /* clustered */`,
    ...["state <> 'open'", "state = 'open'"].map(
      (which) =>
        `insert into user_requests (user_id, id) select user_id, id from entries
         where ${which} and substr(id, 1, 4) in ('req_', 'res_', 'evt_')
         order by user_id, id`,
    ),
    'drop index entries_of_user',
  ],
  rewrites: [requestsSoFar],
}
