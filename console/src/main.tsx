import './theme.css'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Router } from 'wouter'
import { Refusal } from '#api/client.ts'
import { sessionKey } from '#api/session.ts'
import { applyScheme } from '#parts/scheme.ts'
import { App } from './app.tsx'

applyScheme()

const queries: QueryClient = new QueryClient({
  defaultOptions: {
    // A server on this machine answers without any network.
    mutations: { networkMode: 'always' },
    queries: {
      networkMode: 'always',
      // A refusal is an answer; only a broken connection is worth asking again.
      retry: (count, error) => !(error instanceof Refusal) && count < 3,
      staleTime: 5_000,
    },
  },
})

/** A session that ended elsewhere ends here: the sign-in page takes the place of what stood there. */
function noteEnd(error: unknown): void {
  if (error instanceof Refusal && error.status === 401) queries.setQueryData(sessionKey, null)
}
queries.getQueryCache().config.onError = noteEnd
queries.getMutationCache().config.onError = noteEnd

const root = document.getElementById('root')
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <Router base="/console">
          <App />
        </Router>
      </QueryClientProvider>
    </StrictMode>,
  )
