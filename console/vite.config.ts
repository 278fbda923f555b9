import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Built into `dist/`, which the server sends below `/console`; names hold a hash of the content. */
// biome-ignore lint/style/noDefaultExport: Vite reads the default export.
export default defineConfig({
  base: '/console/',
  plugins: [react(), tailwindcss()],
  resolve: { alias: [{ find: /^#(.*)$/, replacement: `${import.meta.dirname}/src/$1` }] },
  build: { target: 'es2023', assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { proxy: { '/admin': 'http://127.0.0.1:8080', '/healthz': 'http://127.0.0.1:8080' } },
})
