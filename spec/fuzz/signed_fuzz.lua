-- Signed texts and sealed sessions, which come back in cookies: only what we have made is taken, to the last bit.
local session_cookie = require "moonloop.web.session_cookie"
local signer = require "moonloop.web.signer"

local SECRET <const> = ("s"):rep(32)
local NAME <const> = "session"
local store = session_cookie(SECRET)

local now
local signs = signer.signer(SECRET, { time = function() return now end })

return function(text)
  local value = signs:verify(text, NAME)
  if value then
    now = math.tointeger(text:match "%.(%d+)%.")
    assert(signs:sign(value, NAME) == text)
  end
  local session = store:load(text, NAME)
  if session then -- one of those among the first inputs, then
    assert(session.id == "id" and session.text == '{"n":1}' and session.created == 1 and session.expires == 2)
    assert(not text:find "[^%w_-]")
  end
end
