-- {{name}}: pages with a form. `moonloop dev app.lua` serves it.
local ml = require "moonloop"
local s = ml.schema

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."
local templates = ml.web.templates(here .. "/views", { globals = { site = "{{name}}" } })

local app = ml.web.app()

app:use(ml.web.sessions { store = "memory" })
app:use(ml.web.csrf {})
app:health()
app:static("/static", here .. "/public", { max_age = 60 })

local entries = {}

local function page(req, form, wrong, status)
  return ml.web.page(templates, "book.html", {
    entries = entries, form = form, wrong = wrong, csrf_token = ml.web.csrf_token(req),
  }, status)
end

app:get("/", function(req) return page(req, {}, {}) end)

app:post("/", { form = { name = s.string { max = 40 }, text = s.string { max = 500 } } }, function(req)
  table.insert(entries, 1, req.valid.form)
  entries[101] = nil -- a guest who writes for ever takes no more memory than others
  return ml.web.redirect("/", 303) -- the browser goes on with GET, and a reload sends nothing twice
end)

-- A form that does not fit is shown again, with what is wrong.
app:on_error(function(err, req)
  if err.kind ~= "validation" then return end
  local form, wrong = {}, {}
  for name, value in pairs(req:form()) do
    form[name] = type(value) == "string" and value or nil -- a client may send a file in place of a text
  end
  for _, one in ipairs(err.errors) do wrong[one.loc[2]] = one.msg end
  return page(req, form, wrong, 422)
end)

return app
