import { type UseMutationOptions, type UseMutationResult, useMutation } from '@tanstack/react-query'
import { useRef } from 'react'

/** A write that a second press does not repeat while it runs: its button is drawn as disabled only a moment later. */
export function useWrite<Output, Input = void>(
  options: Omit<UseMutationOptions<Output, Error, Input>, 'mutationFn'> & {
    mutationFn: (input: Input) => Promise<Output>
  },
): UseMutationResult<Output, Error, Input> {
  const isRunning = useRef(false)
  const mutation = useMutation<Output, Error, Input>({
    ...options,
    mutationFn: async (input) => {
      try {
        return await options.mutationFn(input)
      } finally {
        isRunning.current = false
      }
    },
  })
  const mutate: typeof mutation.mutate = (...input) => {
    if (isRunning.current) return
    isRunning.current = true
    mutation.mutate(...input)
  }
  return { ...mutation, mutate }
}
