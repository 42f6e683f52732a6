-- An app with everything that reads headers in Lua: sessions, signed cookies, credentials, CSRF checks, CORS, limits
-- of rates, compression, files, conditional requests, forms and schemas. The input is a method and a path, then
-- headers, then a body. Whatever comes is answered, and nothing but what says so is an error of the server.
local ml = require "moonloop"

local s, web = ml.schema, ml.web
local security = web.security

local function nobody() return nil end

-- Where fuzzers run, there may be no other file.
local FILE = (os.getenv "TMPDIR" or "/tmp") .. "/moonloop_web_app_fuzz"
do
  local file <close> = assert(io.open(FILE, "w"))
  assert(file:write "a short file\n")
end

local app = web.app()
app:use(web.request_id())
app:use(web.security_headers())
app:use(web.cors { origins = { "https://shop.example" }, credentials = true })
app:use(web.compress())
app:use(web.sessions { store = "cookie", secret = ("s"):rep(32) })
app:get("/basic", { depends = { who = security.basic { verify = nobody } } }, nobody)
app:get("/bearer", { depends = { who = security.bearer { verify = nobody } } }, nobody)
app:get("/key", { depends = { who = security.api_key { header = "x-key", verify = nobody } } }, nobody)
app:get("/cookies", function(req)
  req.session.n = (req.session.n or 0) + 1
  return req:cookies()
end)
app:post("/form", function(req)
  local values = req:form()
  local names = {}
  for name in pairs(values) do names[#names + 1] = name end
  return names
end)
app:post("/json", function(req) return { got = req:json() } end)
app:get("/file", function() return web.file(FILE) end)
app:get("/query", function(req) return req.query:all "a" end)
app:post("/parts", function(req)
  local sizes = {}
  for part in req:parts() do sizes[#sizes + 1] = { #part.name, #(part.filename or ""), #part:read() } end
  return sizes
end)
local Place = s.object("Place", { x = s.number(), names = s.list(s.string { max = 5 }), at = s.datetime():optional() })
app:post("/typed/{n}", {
  params = { n = s.int { min = 0 } },
  query = { q = s.bool():default(false), list = s.list(s.int()):optional() },
  headers = { ["x-when"] = s.date():optional() },
  cookies = { seen = s.uuid():optional() },
  body = Place,
}, function(req) return req.valid.body end)
app:post("/typed_form", { form = { a = s.int(), file = s.file():optional(), b = s.string { max = 9 }:optional() } },
  function(req) return { a = req.valid.form.a } end)
app:any("/{rest:path}", function(req) return { path = req.path, accept = req.headers.accept } end)

return function(text)
  local line, rest = text:match "^([^\n]*)\n(.*)$"
  local method, path = (line or text):match "^(%u+) (/[\33-\126]*)$"
  if not method then return end
  local lines, body = (rest or ""):match "^(.-)\n\n(.*)$"
  if method == "HEAD" then body = nil end -- which clients refuse to send
  local headers = {}
  for line_of_head in (lines or rest or ""):gmatch "[^\n]+" do
    local name, value = line_of_head:match "^([%w-]+):[ \t]*([^%z\1-\8\10-\31\127]*)$"
    if name then headers[name] = value end
  end
  local client <close> = web.test(app, { follow_redirects = false, raise = false })
  local res, err = client:request { method = method, url = path, headers = headers, body = body }
  assert(res or err.code == "BAD_URL", err)
  if res then assert(res.status ~= 500, res.body) end
end
