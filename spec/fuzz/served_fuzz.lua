-- The bytes of a client, to a server with an app that reads bodies whole, by pieces, as forms and not at all, streams,
-- and upgrades. The first byte chooses the size of the pieces in which they come. However they come, the same is
-- answered; the connection ends; and who comes next is answered, too.
local connect = require "moonloop.net.core".connect_in_memory
local ml = require "moonloop"

local web = ml.web
local PATIENCE = 20 -- seconds: everything ends long before
local PASSES = 4 -- of the loop, before the client ends its side: a WebSocket echoes by then

local app = web.app { http2 = "clear", max_body = 2000, max_header_bytes = 2000, max_headers = 20 }
app:get("/", function() return "hello" end)
app:post("/whole", function(req) return req.body end)
app:post("/json", function(req) return { got = req:json() } end)
app:post("/form", function(req)
  local names = {}
  for name in pairs((req:form())) do names[#names + 1] = name end
  table.sort(names)
  return names
end)
app:post("/unread", function() return nil, 202 end)
app:post("/pieces", function(req)
  local all = {}
  for piece in req:chunks() do all[#all + 1] = piece end
  return table.concat(all)
end)
app:get("/numbers/{n:int}", function(req)
  return web.response { stream = function(out)
    for i = 1, math.min(req.params.n, 20) do out:write(i, "\n") end
  end }
end)
app:websocket("/ws", { compress = true }, function(ws)
  for message in ws:messages() do ws:send(message) end
end)

-- What the server answers to the bytes, which come in pieces.
local function answer(client, bytes, piece)
  local conn <close> = assert(connect(client.server.core.memory))
  for at = 1, #bytes, piece do
    if not conn:write(bytes:sub(at, at + piece - 1)) then break end -- it has closed
    ml.sleep(0)
  end
  for _ = 1, PASSES do ml.sleep(0) end
  conn:shutdown()
  return conn:read "a"
end

-- Without what the time decides.
local function plain(text) return (text:gsub("\r\n[Dd]ate: [^\r]*", "")) end

-- Does it depend on the pieces what is answered? A body may be refused before or behind an answer, of frames it is
-- echoed what has come before the end, and who waits to be told to go on is told only where the body is still to come.
local function depends(bytes, answers)
  if bytes:lower():find("100-continue", 1, true) then return true end
  for status in answers:gmatch "HTTP/1%.1 (%d%d%d) " do
    if status == "101" or status == "400" or status == "413" then return true end
  end
  return false
end

-- Is `less` the beginning of `more`? An answer that does without a body which is still to come may close the
-- connection; where the body is there already, it need not.
local function ends_early(bytes, less, more)
  bytes = bytes:lower()
  if not (bytes:find("transfer-encoding", 1, true) or bytes:find("content-length", 1, true)) then return false end
  if not less:find("\r\nConnection: close\r\n", 1, true) then return false end
  local begins = less:gsub("\r\nConnection: [^\r]*", "")
  return more:gsub("\r\nConnection: [^\r]*", ""):sub(1, #begins) == begins
end

local function agree(bytes, whole, pieces)
  return whole == pieces or ends_early(bytes, pieces, whole) or ends_early(bytes, whole, pieces)
end

return function(text)
  local client <close> = web.test(app, { raise = false })
  local bytes = text:sub(2)
  local whole = assert(ml.timeout(PATIENCE, answer, client, bytes, math.max(#bytes, 1)))
  local pieces = assert(ml.timeout(PATIENCE, answer, client, bytes, (text:byte(1) or 0) % 64 + 1))
  if not bytes:find "^PRI" then
    assert(whole == "" or whole:find "^HTTP/1%.1 [1-4]%d%d " or whole:find "^HTTP/1%.1 50[15] ", whole)
    if not (depends(bytes, whole) or depends(bytes, pieces)) then
      assert(agree(bytes, plain(whole), plain(pieces)), whole .. "\n-- in pieces:\n" .. pieces)
    end
  end
  local res = assert(client:get "/")
  assert(res.body == "hello")
end
