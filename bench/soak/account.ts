/** The answers that clients got, with which the account is compared at the end. */
export interface Account {
  /** Units by access token, of users whose requests all ended. */
  readonly told: ReadonlyMap<string, number>
  readonly add: (accessToken: string, units: number) => void
  /** Notes an answer by client; 0 stands for a connection that broke. */
  readonly answered: (who: string, status: number) => void
  /** Answers by client and status since the last call, such as `good 200`. */
  readonly takeAnswers: () => ReadonlyMap<string, number>
  readonly answers: ReadonlyMap<string, number>
}

export function createAccount(): Account {
  const told = new Map<string, number>()
  const answers = new Map<string, number>()
  let recent = new Map<string, number>()
  const count = (map: Map<string, number>, key: string, by = 1) => void map.set(key, (map.get(key) ?? 0) + by)
  return {
    told,
    answers,
    add: (accessToken, units) => count(told, accessToken, units),
    answered(who, status) {
      count(answers, `${who} ${status}`)
      count(recent, `${who} ${status}`)
    },
    takeAnswers() {
      const taken = recent
      recent = new Map()
      return taken
    },
  }
}
