--- The page of the inspector: one document with its style and its script inside, and a policy that lets a browser
-- run nothing else.
local crypto = require "moonloop.crypto"
local embedded = require "moonloop.core.embedded"
local unhex = require "moonloop.core.unhex"

local M = {}

local SCRIPTS = { "dom", "charts", "state", "loop", "tasks", "requests", "main" } -- in this order

local function content(name) return embedded.read("inspect/" .. name) end

--- "sha256-...", as policies name an inline script.
local function source_of(text) return "'sha256-" .. crypto.base64(unhex(crypto.sha256(text))) .. "'" end

--- page() -> html, policy
function M.page()
  local parts = {}
  for _, name in ipairs(SCRIPTS) do parts[#parts + 1] = content(name .. ".js") end
  local style, script, html = content "page.css", table.concat(parts, "\n"), content "page.html"
  local put = { STYLE = style, SCRIPT = script }
  html = html:gsub("@(%u+)@", put)
  local policy = table.concat({
    "default-src 'none'", "script-src " .. source_of(script), "style-src " .. source_of(style), "connect-src 'self'",
    "img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  }, "; ")
  return html, policy
end

return M
