/** How ids of requests begin: of those that were relayed, reserved by others, or reported. Adjustments have a prefix of their own. */
export const requestPrefixes = ['req_', 'res_', 'evt_'] as const
export type RequestPrefix = (typeof requestPrefixes)[number]
