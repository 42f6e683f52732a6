--- {{name}}: fetches several URLs at once, a few at a time.
local ml = require "moonloop"

local M = {}

--- Fetches the URLs. Suspends.
---
--- @param urls string[]
--- @param opts? { limit?: integer } how many at once (8)
--- @return { url: string, status?: integer, body?: string, error?: string }[] in the order of the URLs
function M.fetch_all(urls, opts)
  return ml.map(urls, function(url)
    local res, err = ml.http.get(url)
    if not res then return { url = url, error = tostring(err) } end
    return { url = url, status = res.status, body = res.body }
  end, { limit = opts and opts.limit or 8 })
end

return M
