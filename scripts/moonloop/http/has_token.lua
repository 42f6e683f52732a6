--- has_token(value, token): is `token`, in lower case, in the list of a header (RFC 9110 section 5.6.1)? `value` is the
-- header's, or nil.
local trim = require "moonloop.core.trim"

return function(value, token)
  for item in (value or ""):gmatch "[^,]+" do
    if trim(item):lower() == token then return true end
  end
  return false
end
