export const help = `Tollgate: user management for LLM access

  tollgate [start]           run the gateway and the admin API
  tollgate start --demo      the same with a simulated upstream and sample users; the data is deleted at the end
  tollgate check             ask each upstream for its models, and say what works and what to do
  tollgate keys              list the admin keys (with the embedded database while the server is stopped, as all of these)
  tollgate keys create NAME  make another admin key and print it; admin-key NAME does the same
           [--scope SCOPE]…          what it allows; verifier: one for another gateway, which may only verify and report
           [--expires-in-days N]     one that expires
           [--network NETWORK]…      from where it is accepted
  tollgate keys rotate ID    give a key another secret and print it
           [--overlap-hours N]       the one before works on for this long
  tollgate keys delete ID    a key that stops working at once
  tollgate keys remove-second-factor ID
                             a key that needs no code any more, where its app was lost
  tollgate backup FILE       copy the database into a file and check it, also while the server runs
           [--force]                 replace an existing file
  tollgate restore FILE      put a backup in the place of the database (while the server is stopped)
  tollgate audit verify      find altered or removed rows of the audit trail
  tollgate rekey             replace the master key: seal everything anew, while the server runs
  tollgate migrate-store     move everything from the embedded database to a shared one (while the server is stopped)
           [--from DATA_DIR]         the folder to move from; DATA_DIR by default
           [--to URL]                where to; DATABASE_URL by default, which keeps the password out of sight
           [--undo]                  make the old database usable again
  tollgate help | version

With npm, options come after a double dash: npm start -- --demo

The environment sets single values, tollgate.yaml families, defaults and upstreams:

  HOST, PORT                 127.0.0.1 and 8080
  ADMIN_PORT                 a listener of its own for the admin API
  PUBLIC_URL                 the address in links for holders; by default the host of the request that makes one
  DATA_DIR                   ./data: database and master key
  DATABASE_URL               a shared database, for many instances; the embedded one by default
  DATABASE_DIRECT_URL        the same one past a pooler
  ADMIN_KEY                  made and printed on the first start
  MASTER_KEY                 32 bytes in hex or base64; made on the first start in DATA_DIR
  MASTER_KEY_PREVIOUS        the key before, while it is being replaced
  OPENAI_API_KEY, OPENAI_BASE_URL, ANTHROPIC_API_KEY, ANTHROPIC_BASE_URL
                             upstreams without any file; so do the same names with AZURE_OPENAI, MISTRAL, DEEPSEEK, XAI,
                             GEMINI, GROQ, OPENROUTER, OLLAMA, LLAMA_CPP and VLLM in front
  HTTPS_PROXY, HTTP_PROXY, NO_PROXY
                             proxies to the upstreams
  TRUSTED_PROXIES            networks whose X-Forwarded-For is trusted
  DEMO_HOSTS                 names that the demo serves besides localhost
  LOG_LEVEL                  debug, info, warn, error or silent
  BULK_USERS_MAX, BODY_BYTES_MAX, STOP_GRACE_SECONDS
                             10000, 32 MiB, 30
  LEDGER_RETENTION_DAYS      90: how long single requests are kept; totals stay
  AUDIT_RETENTION_DAYS       365: how long changes are kept in the audit trail
  CONFIG                     another path than ./tollgate.yaml

Every secret may also come from a file, which its variable with _FILE at its end names.`
