-- What all pages have: templates, sessions, protection against forged forms, and who looks at them.
local ml = require "moonloop"
local accounts = require "accounts"
local settings = require "settings"
local stores = require "stores"

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
local M = {}

-- Values are escaped by their place in the HTML. Where that failed, the policy below would run no script but our own.
local views = ml.web.templates(here .. "/views", { globals = {
  money = function(cents) return ("%d.%02d"):format(cents // 100, cents % 100) end,
} })

local middleware = {
  ml.web.security_headers { csp = { default_src = "'self'", form_action = "'self'", frame_ancestors = "'none'" } },
  ml.web.sessions { store = stores.redis or stores.db },
  ml.web.csrf { secret = settings.token_key }, -- without it, each visitor of a page with a form would have a session
}

--- A page, with what its layout needs.
function M.page(req, name, values, status)
  values.user = req.session.user and accounts.find(req.session.user)
  values.csrf_token = ml.web.csrf_token(req)
  return ml.web.page(views, name, values, status)
end

--- An app of pages: what goes wrong is a page, too.
function M.app()
  local app = ml.web.app()
  for _, each in ipairs(middleware) do app:use(each) end
  app:on_error(function(err, req)
    if not err.status or err.status < 400 then return end
    local first = err.errors and err.errors[1]
    local message = first and ("%s: %s"):format(first.loc[#first.loc], first.msg) or err.detail or err.message
    return M.page(req, "error.html", { message = message }, err.status)
  end)
  return app
end

--- The account that has logged in. Who has not is sent to do so.
M.user = ml.web.dependency { name = "user", function(req)
  local user = req.session.user and accounts.find(req.session.user)
  return user or ml.web.abort(303, "log in first", { Location = "/login" })
end }

--- The same, who may run the shop. The role is read for each request: when it is taken away, it is gone.
M.admin = ml.web.dependency { name = "admin", needs = { user = M.user }, function(_, deps)
  if deps.user.role ~= "admin" then ml.web.abort(403, "this page is for those who run the shop") end
  return deps.user
end }

return M
