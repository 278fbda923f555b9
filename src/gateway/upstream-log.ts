import type { Log } from '#http/log.ts'
import type { UpstreamNews } from '#upstreams/open.ts'

/** One line when an upstream begins to rest and one when it answers well again, however many requests meet it. */
export function createUpstreamLog(log: Log): (news: UpstreamNews) => void {
  return (news) => {
    const { kind, ...about } = news
    if (kind === 'rests') log.warn(about, 'an upstream rests')
    else log.info(about, 'an upstream answers again')
  }
}
