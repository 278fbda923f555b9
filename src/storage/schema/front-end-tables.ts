/** How a front end names the people that it asks for. */
export interface FrontEndRow {
  user_id: string
  /** Another one with each change of the settings. */
  version: string
  /** JSON of `FrontEndSettings`. */
  settings: string
  /** The key of its tokens; null where it signs none. */
  secret_encrypted: string | null
}

/** The user that a person of a front end became. */
export interface PersonRow {
  front_end_id: string
  /** The name by which the front end names the person. */
  person: string
  user_id: string
}
