-- Asks Tollgate whether a request is admitted: the action `lua.tollgate` of haproxy.cfg.

local tollgate = os.getenv("TOLLGATE") or "127.0.0.1:8080"
-- To apply a family's quota as well: TOLLGATE_VERIFY=/auth/verify?family=gpt4
local verify = os.getenv("TOLLGATE_VERIFY") or "/auth/verify"
local key = os.getenv("TOLLGATE_VERIFIER_KEY") or error("set TOLLGATE_VERIFIER_KEY")
local timeout_ms = 5000

-- Every 200 holds all of these headers; one without a value is empty, and is removed here.
local identity = {
  "x-tollgate-user",
  "x-tollgate-user-type",
  "x-tollgate-nickname",
  "x-tollgate-expires-at",
  "x-tollgate-family",
  "x-tollgate-limit",
  "x-tollgate-remaining",
  "x-tollgate-reset-at",
  "x-tollgate-request-id",
}

-- The headers of a refusal that the client gets.
local told = { "content-type", "retry-after", "www-authenticate", "x-request-id", "x-tollgate-code" }

-- HAProxy counts the values of a header from 0.
local function first(headers, name)
  local values = headers and headers[name]
  return values and values[0]
end

local function question(txn)
  local sent = txn.http:req_get_headers()
  local headers = { ["x-tollgate-key"] = { key }, ["x-forwarded-for"] = { txn.sf:src() } }
  for _, name in ipairs({ "authorization", "x-api-key" }) do
    local value = first(sent, name)
    if value then headers[name] = { value } end
  end
  return { url = "http://" .. tollgate .. verify, headers = headers, timeout = timeout_ms }
end

local function refuse(txn, answer)
  local reply = txn:reply({ status = answer.status, body = answer.body })
  for _, name in ipairs(told) do
    local value = first(answer.headers, name)
    if value then reply:add_header(name, value) end
  end
  txn:done(reply)
end

-- Without an answer from Tollgate the request is refused with 503: a 401 would say that the access token is wrong.
local function unavailable(txn)
  local body = '{"error":"Tollgate cannot be reached. Try again shortly.","code":"store_unavailable"}'
  local reply = txn:reply({ status = 503, body = body })
  reply:add_header("content-type", "application/json")
  reply:add_header("retry-after", "1")
  txn:done(reply)
end

core.register_action("tollgate", { "http-req" }, function(txn)
  local asked, answer = pcall(function()
    return core.httpclient():get(question(txn))
  end)
  if not asked or not answer or not first(answer.headers, "x-request-id") then
    unavailable(txn)
  elseif answer.status ~= 200 then
    refuse(txn, answer)
  else
    for _, name in ipairs(identity) do
      local value = first(answer.headers, name)
      txn.http:req_del_header(name)
      if value and value ~= "" then txn.http:req_set_header(name, value) end
    end
  end
end, 0)
