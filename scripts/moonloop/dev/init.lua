--- `moonloop dev`: what `serve` does not do: errors as pages, and a screen that says what is served.
local answer = require "moonloop.dev.answer"
local chain = require "moonloop.web.chain"
local frames = require "moonloop.dev.frames"
local screen = require "moonloop.dev.screen"

local M = {}

local function begin(req, next)
  frames.begin()
  return next(req)
end

--- Prepares an app that is not served yet.
function M.prepare(app)
  table.insert(app.middleware, 1, begin) -- also makes every error of the app pass through its chain
  frames.watch()
  chain.answer_faults(answer.make)
end

M.screen = screen.text
M.work = require "moonloop.dev.jobs".work

return M
