--- Serves the OpenAPI document of an app, and the pages that show it. All of their files come from the
-- binary; nothing is loaded from elsewhere, and no script stands in a page.
local coding = require "moonloop.web.coding"
local conditional = require "moonloop.web.conditional"
local core = require "moonloop.web.core"
local crypto = require "moonloop.crypto"
local escape = require "moonloop.web.escape".escape
local files = require "moonloop.web.docs.core"
local openapi = require "moonloop.web.openapi"
local read_embedded = require "moonloop.core.embedded".read
local response = require "moonloop.web.response"
local types = require "moonloop.web.types"
local vary = require "moonloop.web.vary"

local M = {}

--- The value of the header that lets a page load its own files and nothing else, and send requests to the
-- servers of the document.
local function policy(app, more)
  local origins, seen = { "'self'" }, {}
  for _, server in ipairs(app.settings.servers or {}) do
    local origin = server.url:match "^https?://[%w.:%[%]-]+"
    if origin and not seen[origin] then
      seen[origin] = true
      origins[#origins + 1] = origin
    end
  end
  return ("default-src 'none'; script-src 'self'; img-src 'self' data:; "
    .. "connect-src %s; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; %s")
    :format(table.concat(origins, " "), more)
end

local function etag_of(text) return ('"%s"'):format(crypto.sha256(text):sub(1, 24)) end

--- Answers with what a client may have already: a 304 then. `headers` is a new table; `fill(res)` sets the body.
local function answer(req, etag, headers, fill)
  headers["ETag"], headers["Cache-Control"], headers["X-Content-Type-Options"] = etag, "no-cache", "nosniff"
  local status = conditional.wanted(req.method, req.headers, etag, 0, 0)
  if status == 412 then error(core.abort(412, core.reason(412)), 0) end
  local res = response.new { status = status == 304 and 304 or 200, headers = headers }
  if status ~= 304 then fill(res) end
  return res
end

local function with_body(text)
  return function(res) res.body = text end
end

--- The handler of /openapi.json.
local function document_handler(app)
  local text, etag
  return function(req)
    local now = openapi.text(app, req.root_path)
    if now ~= text then text, etag = now, etag_of(now) end
    return answer(req, etag, { ["Content-Type"] = "application/json" }, with_body(text))
  end
end

-- --- pages ---

local PAGES = {
  docs = {
    policy = "style-src 'self'",
    head = '<link rel="stylesheet" href="docs/swagger-ui.css">\n',
    element = "swagger-ui",
    script = "docs/swagger-ui-bundle.js",
    start = [[
SwaggerUIBundle({
  url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true, validatorUrl: null, persistAuthorization: false,
});
]],
  },
  redoc = {
    policy = "style-src 'self' 'unsafe-inline'; worker-src blob:", -- its script makes elements of styles
    head = "",
    element = "redoc",
    script = "redoc/redoc.standalone.js",
    start = [[
Redoc.init("openapi.json", {}, document.getElementById("redoc"));
]],
  },
}

local HTML = [[
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>%s</title>
<link rel="icon" href="data:,">
%s</head>
<body>
<div id="%s"></div>
<script src="%s"></script>
<script src="%s/start.js"></script>
</body>
</html>
]]

--- The handler of a page. Its links are relative, so that they work behind a proxy that changes the prefix.
local function page_handler(app, name)
  local page = PAGES[name]
  local text = HTML:format(escape(app.settings.title or "API"), page.head, page.element, page.script, name)
  local etag, csp = etag_of(text), policy(app, page.policy)
  local is_there = files.file(page.script) ~= nil
  return function(req)
    if not is_there then
      error(core.abort(404, "this moonloop was built without the pages (MOONLOOP_DOCS=OFF)"), 0)
    end
    return answer(req, etag, {
      ["Content-Type"] = "text/html; charset=utf-8", ["Content-Security-Policy"] = csp,
      ["Referrer-Policy"] = "no-referrer", ["X-Frame-Options"] = "DENY",
    }, with_body(text))
  end
end

-- By their paths, the files that have been asked for: all clients are sent the same text, however slowly they take it.
local kept = {}

local function file_of(path)
  local file = kept[path]
  if file then return file end
  local packed = files.file(path)
  if not packed then error(core.abort(404, core.reason(404)), 0) end
  file = { packed = packed, etag = etag_of(packed) }
  kept[path] = file
  return file
end

--- For clients that cannot decode it: decoded once. A decoder for each would be kept until its client has taken all.
local function plain_of(file, path)
  file.plain = file.plain or read_embedded(path)
  return file.plain
end

--- The handler of a page's files. They are sent as they lie in the binary to those who can decode that.
local function file_handler(name)
  return function(req)
    local path = name .. "/" .. req.params.file
    if req.params.file == "start.js" then
      local text = PAGES[name].start
      return answer(req, etag_of(text), { ["Content-Type"] = types.of(path) }, with_body(text))
    end
    local file = file_of(path)
    local is_packed = coding.choose(req.headers["accept-encoding"]) == "br"
    local etag = is_packed and file.etag or file.etag:gsub('"$', '-plain"')
    local headers = { ["Content-Type"] = types.of(path) }
    vary(headers, "Accept-Encoding")
    return answer(req, etag, headers, function(res)
      if is_packed then res.headers["Content-Encoding"] = "br" end
      res.body = is_packed and file.packed or plain_of(file, path)
    end)
  end
end

-- --- routes ---

--- Has the app a route of its own for this path?
local function has_route(app, path)
  path = path:gsub("{.*", "{")
  for _, route in ipairs(app.routes) do
    local is_get = route.method == "GET" or route.method == "ANY"
    if is_get and route.path:gsub("{.*", "{") == path then return true end
  end
end

--- serve(app, docs): adds the routes of the document and its pages to the app, where `docs` is true or
-- {guard = dependency}. Paths that the app has routes for are left to it. Dependencies of app:depends do not
-- apply: a browser could not show the page where one sends its token.
function M.serve(app, docs)
  if app.docs_handlers then return end
  app.docs_handlers = {} -- as a set: site.lua leaves out app:depends for them
  local own = app.settings.docs
  local guard = type(docs) == "table" and docs.guard or type(own) == "table" and own.guard or nil
  local function add(path, handler)
    local opts = { hidden = true, depends = guard and { guard } or nil }
    if has_route(app, path) then return end
    app.docs_handlers[handler] = true
    app:get(path, opts, handler)
  end
  add("/openapi.json", document_handler(app))
  for _, name in ipairs { "docs", "redoc" } do
    if not has_route(app, "/" .. name) then
      add("/" .. name, page_handler(app, name))
      add(("/%s/{file}"):format(name), file_handler(name))
    end
  end
end

return M
