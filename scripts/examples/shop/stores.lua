-- Where the shop keeps things. SQLite and memory are enough for one machine; DATABASE_URL and REDIS_URL lead to
-- PostgreSQL and Redis, for many. Nothing connects before it is used.
local ml = require "moonloop"
local settings = require "settings"

local M = {}

M.db = ml.sql.open(settings.database_url)
M.redis = settings.redis_url and ml.redis.client(settings.redis_url) or nil
M.jobs = ml.jobs.new(M.db)

--- Closes what is open: for specs and scripts. A server does not need it.
function M.close()
  M.db:close()
  if M.redis then M.redis:close() end
end

return M
