--- The claims that say when and for whom a token is valid: RFC 7519 section 4.1.
local M = {}

local TIMES = { "exp", "nbf", "iat" }

local function is_time(value)
  return type(value) == "number" and value == value and value > -math.huge and value < math.huge
end

--- The name of a time that is no number, or nil.
function M.wrong_time(claims)
  for _, name in ipairs(TIMES) do
    if claims[name] ~= nil and not is_time(claims[name]) then return name end
  end
end

--- Is `value` among those wanted, a text or a list of them?
local function is_among(value, wanted)
  if type(wanted) == "string" then return value == wanted end
  for _, one in ipairs(wanted) do
    if value == one then return true end
  end
  return false
end

--- The texts of a claim that is one or a list; nil if it is neither.
local function texts_of(value)
  local list = type(value) == "table" and value or { value }
  if #list == 0 then return nil end
  for _, text in ipairs(list) do
    if type(text) ~= "string" then return nil end
  end
  return list
end

local function check_audience(claims, wanted)
  if claims.aud == nil then
    if wanted then return "audience", "the token is for nobody ('aud' is missing)" end
    return
  end
  local list = texts_of(claims.aud)
  if not list then return "malformed", "'aud' is neither a string nor a list of strings" end
  if not wanted then return "audience", "the token is for somebody ('aud'): option 'audience' says who we are" end
  for _, text in ipairs(list) do
    if is_among(text, wanted) then return end
  end
  return "audience", "the token is for somebody else ('aud')"
end

--- check(claims, opts, now) -> nil, or the code and the message of what is wrong.
function M.check(claims, opts, now)
  local leeway = opts.leeway or 0
  local name = M.wrong_time(claims)
  if name then return "malformed", ("'%s' is not a number"):format(name) end
  if claims.exp and now >= claims.exp + leeway then return "expired", "the token has expired" end
  if claims.nbf and now < claims.nbf - leeway then return "not_yet", "the token is not valid yet ('nbf')" end
  if claims.iat and now < claims.iat - leeway then return "not_yet", "the token is from the future ('iat')" end
  if opts.issuer and not is_among(claims.iss, opts.issuer) then
    return "issuer", "the token is from somebody else ('iss')"
  end
  return check_audience(claims, opts.audience)
end

return M
