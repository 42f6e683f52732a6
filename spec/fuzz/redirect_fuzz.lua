-- Redirects: the input is the Location that a server sends to a request with credentials. What follows is a URL of
-- http or https with neither blanks nor control characters; another origin gets none of the credentials.
local fields = require "moonloop.http.fields"
local redirect = require "moonloop.http.redirect"
local url = require "moonloop.http.url"

local HOME = "https://me:secret@home.example/a/b?c=d"

return function(text)
  local sent = fields.collect({ authorization = "Bearer secret", cookie = "secret", ["x-key"] = "secret" }, {})
  local request = { method = "GET", url = HOME, fields = sent, private = { "x-key" } }
  local res = { status = 302, url = "https://home.example/a/b?c=d", head = "", headers = { location = text } }
  local next_one, err = redirect.follow(request, res)
  if not next_one then return assert(err and err.message) end
  assert(next_one.url:find "^[Hh][Tt][Tt][Pp][Ss]?:" and not next_one.url:find "[^\33-\126]")
  if url.origin(next_one.url) ~= url.origin(HOME) then
    for _, name in ipairs { "authorization", "cookie", "x-key" } do
      assert(next_one.fields[name] == nil, name .. " went to another origin")
    end
    assert(not next_one.url:find("me:secret", 1, true) or text:find("me:secret", 1, true))
  end
end
