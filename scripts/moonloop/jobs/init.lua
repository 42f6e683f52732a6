--- ml.jobs: work that outlives a request and a machine. A job is a row in the application's own database.
local core = require "moonloop.core"
local define = require "moonloop.jobs.define"
local holders = require "moonloop.sql.holders"
local made = require "moonloop.jobs.made"
local options = require "moonloop.core.options"

local dialects = { pg = "moonloop.jobs.postgres", sqlite = "moonloop.jobs.sqlite" }

local known = { queue = define.name, keep = define.seconds }

local Jobs = { __name = "moonloop.jobs", __stays = "jobs, which cannot leave their Lua state" }
Jobs.__index = Jobs

local function method(module, name)
  return function(self, ...)
    if getmetatable(self) ~= Jobs then core.bad_self(self, "jobs", name) end
    return require(module)[name](self, ...)
  end
end

for name, module in pairs {
  define = "moonloop.jobs.define",
  push = "moonloop.jobs.push", push_all = "moonloop.jobs.push",
  every = "moonloop.jobs.every",
  work = "moonloop.jobs.worker",
  drain = "moonloop.jobs.drain",
  get = "moonloop.jobs.manage", list = "moonloop.jobs.manage", stats = "moonloop.jobs.manage",
  retry = "moonloop.jobs.manage", cancel = "moonloop.jobs.manage",
} do
  Jobs[name] = method(module, name)
end

local M = {}

--- new(db [, {queue =, keep =}]) -> jobs
function M.new(db, opts)
  if not holders.is_database(db) then
    core.fail(("ml.jobs.new: a database of ml.sql.open expected, got %s"):format(type(db)))
  end
  opts = options.check(opts, known, "ml.jobs.new")
  local driver = holders.of(db).driver
  local jobs = setmetatable({
    db = db, driver = driver, dialect = require(dialects[driver]), queue = opts.queue or "default", keep = opts.keep,
    definitions = {}, names = {}, schedules = {},
  }, Jobs)
  made.add(jobs)
  return jobs
end

return M
