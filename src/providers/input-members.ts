import type { InputMembers } from './provider.ts'

/**
 * The members of requests in both protocols that the product speaks. Routers and vendors of one protocol read members of
 * the other, so neither has a list of its own.
 */
export const inputMembers: InputMembers = {
  unread: new Set(
    (
      'model user metadata stream stream_options store service_tier logit_bias previous_response_id conversation ' +
      'prompt_cache_key prompt_cache_options prompt_cache_retention safety_identifier include reasoning thinking ' +
      'modalities audio container encoding_format stop stop_sequences truncation context_management betas'
    ).split(' '),
  ),
  namesMore: new Set(['previous_response_id', 'conversation']),
  readsCompactions: true,
}
