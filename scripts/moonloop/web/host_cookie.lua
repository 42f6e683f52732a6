--- Cookies that only this very host may set: over TLS their names begin with "__Host-" (RFC 6265bis section
-- 4.1.3.2), so that neither another host of the domain nor one without TLS can plant one.

local M = {}

--- Does the site use TLS? The option `secure` decides, or else the scheme of the request.
-- @param opts table name string, secure boolean|nil
-- @return boolean
function M.is_secure(opts, req)
  if opts.secure ~= nil then return opts.secure end
  return req.scheme == "https"
end

--- The cookie's name on this site.
-- @return string
function M.name(opts, req) return M.is_secure(opts, req) and "__Host-" .. opts.name or opts.name end

return M
