-- What the live pages share: page(app, "chat") serves pages/chat.html at "/", and what it needs at /pages.
local ml = require "moonloop"

local here = debug.getinfo(1, "S").source:match "^@(.*)/" or "."

-- Scripts, styles and connections of this site alone; nothing inline, nothing from elsewhere.
local POLICY = {
  default_src = "'none'",
  script_src = "'self'",
  style_src = "'self'",
  img_src = { "'self'", "data:" },
  connect_src = "'self'",
  base_uri = "'none'",
  form_action = "'self'",
  frame_ancestors = "'none'",
}

return function(app, name)
  app:use(ml.web.security_headers { csp = POLICY })
  app:get("/", function() return ml.web.file(("%s/pages/%s.html"):format(here, name)) end)
  app:static("/pages", here .. "/pages", { max_age = 60 })
end
