-- Keys of JSON Web Keys, as a server that is trusted with logins gives them: a set of anything is read or refused,
-- key by key, and never raises.
local json = require "moonloop.json"
local keys = require "moonloop.jwt.keys"

return function(text)
  local doc = json.decode(text)
  if type(doc) ~= "table" then return end
  local list = type(doc.keys) == "table" and doc.keys or { doc }
  for i, jwk in ipairs(list) do
    if i > 10 then break end
    if type(jwk) == "table" then
      local key, why = keys.read(jwk)
      assert(key and next(key.algorithms) or type(why) == "string" and #why > 0)
    end
  end
end
