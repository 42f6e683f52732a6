-- The requests that the soaks send to app.lua, and what has to come back.
local folders = require "spec.support.folder"
local ml = require "moonloop"

local M = {}

local here = debug.getinfo(1, "S").source:match "^@(.*)requests.lua$"

local body = ("x"):rep(20000)
local form = '--b\r\nContent-Disposition: form-data; name="name"\r\n\r\nn\r\n' ..
  '--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' .. body .. "\r\n--b--\r\n"
local items = {}
for i = 1, 100 do items[i] = i end

--- The list of them: {method, path, options, is = the body, status = (200), pings = whether comments may be in it}.
-- `port`: where the app is asked to send a request of its own.
function M.list(port)
  local app = folders.read(here .. "app.lua")
  return {
    { "get", "/plain", is = "plain" },
    { "get", "/json", is = '{"list":[1,2,3],"text":"text"}' },
    { "get", "/users/7?q=a%20b", is = '{"agent":true,"id":7,"q":"a b"}' },
    { "post", "/sum", { json = { items = items } }, is = '{"sum":5050}' },
    { "post", "/echo", { body = body }, is = body },
    { "get", "/sleep", is = "slept" },
    { "get", "/children", is = '{"sum":3}' },
    { "get", "/large", is = ("0123456789abcdef"):rep(40000) },
    { "get", "/offload", is = '{"sum":500500}' },
    { "get", "/deadline", is = "in time" },
    { "get", "/stream", is = ("streamed "):rep(200000) },
    { "get", "/events", pings = true, is = "data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n" },
    { "post", "/chunks", { body = body }, is = '{"bytes":20000}' },
    { "post", "/form", { body = form, headers = { ["Content-Type"] = "multipart/form-data; boundary=b" } },
      is = '{"bytes":20000,"name":"n"}' },
    { "get", "/static/app.lua", is = app },
    { "get", "/files", is = ("text "):rep(20000) },
    { "get", "/inner/text", is = "inner" },
    { "get", "/inner/raise", status = 418, is = '{"raised":true}' },
    { "get", "/abort", status = 418, is = '{"detail":{"why":"tea"}}' },
    { "get", "/ask/" .. port, is = "slept" },
    { "get", "/nothing", status = 404, is = '{"detail":"Not Found"}' },
  }
end

-- The same text, whatever the order of an object's members.
local function same(a, b)
  if a == b then return true end
  local x, y = ml.json.decode(a), ml.json.decode(b)
  return x ~= nil and y ~= nil and ml.json.encode(x, { pretty = true }) == ml.json.encode(y, { pretty = true })
end

--- Sends the request with the client: "right"; or "failed", "refused" (5xx) or "wrong", and what came.
function M.ask(client, request)
  local res, err = client[request[1]](client, request[2], request[3])
  if not res then return "failed", err end
  if res.status ~= (request.status or 200) then
    return res.status >= 500 and "refused" or "wrong", res.status .. " " .. res.body
  end
  local text = request.pings and res.body:gsub(":\n\n", "") or res.body -- a busy server is late
  return same(text, request.is) and "right" or "wrong", text
end

return M
