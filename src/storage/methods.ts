/**
 * What a table's methods do, said once, where they are written. An engine decides for each kind where and how it runs;
 * for the rest it is a loop over all methods.
 */
export interface MethodGroups<Methods> {
  /** Reads a few rows by a key; a request may be waiting. */
  readonly reads?: Partial<Methods>
  /** Lists, searches and reports, for which no request of the gateway waits. */
  readonly long?: Partial<Methods>
  readonly writes?: Partial<Methods>
  /** Writes that may remove addresses, which the ledger remembers as written. */
  readonly addressWrites?: Partial<Methods>
}

type Kind = keyof MethodGroups<unknown>
const kinds: readonly Kind[] = ['reads', 'long', 'writes', 'addressWrites']

type Method = (...args: never[]) => Promise<unknown>
type Tables = Readonly<Record<string, MethodGroups<Readonly<Record<string, Method>>>>>

type AllOf<Union> = (Union extends unknown ? (one: Union) => void : never) extends (all: infer All) => void
  ? All
  : never

/** The methods of each table, without their groups. */
export type MethodsOf<Of extends Tables> = {
  readonly [Table in keyof Of]: AllOf<Of[Table][Kind & keyof Of[Table]]>
}

/** Arguments and answers are checked where a method is called, against the type that it was written with. */
type Run = (...args: readonly unknown[]) => Promise<unknown>

interface Call {
  readonly kind: Kind
  /** `table.method` */
  readonly name: string
  readonly run: Run
}

/** @param runBy how one method is run */
export function methodsOf<Of extends Tables>(tables: Of, runBy: (call: Call) => Method): MethodsOf<Of> {
  const found = Object.entries(tables).map(([table, groups]) => {
    const calls = kinds.flatMap((kind) => callsOf(table, groups, kind))
    return [table, Object.fromEntries(calls.map(([method, call]) => [method, runBy(call)]))]
  })
  return Object.fromEntries(found) as MethodsOf<Of>
}

/** The methods of these kinds by their full names, by which one thread asks another for them. */
export function namedMethods(tables: Tables, those: readonly Kind[]): Readonly<Record<string, Run>> {
  const calls = Object.entries(tables).flatMap(([table, groups]) =>
    those.flatMap((kind) => callsOf(table, groups, kind)),
  )
  return Object.fromEntries(calls.map(([, { name, run }]) => [name, run]))
}

function callsOf(table: string, groups: Tables[string], kind: Kind): readonly (readonly [string, Call])[] {
  return Object.entries(groups[kind] ?? {}).map(([method, run]) => [
    method,
    { kind, name: `${table}.${method}`, run: run as Run },
  ])
}
